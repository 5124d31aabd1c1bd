//! Texts with the shape of MS MARCO's passages and of the questions asked about them.
//!
//! What is published, and what is made here for as many documents (`peers-work statistics` measures it):
//!
//! | | published | here |
//! | --- | --- | --- |
//! | passages | 8,841,823 | as many as asked for |
//! | words that occur | 2,660,824 (stems) | 2,539,087; some 760 thousand in a million passages |
//! | words of a passage | 56 to 60 | 56.0, deviation 23, 98 % from 21 to 130 |
//! | of these no stop words | 39.8 | 39.4 |
//! | different ones among these | 30.1 | 29.9 |
//! | share of the 33 stop words | 29 to 34 % (by the two rows above) | 29.7 % |
//! | passages with the commonest word | 85 % (Debian's package descriptions, of 58 words) | 89 % |
//! | with that of rank 10, 100, 1,000, 10,000 | 42, 5.2, 0.58, 0.022 % (the same) | 36, 3.4, 0.39, 0.040 % |
//! | postings | 266,247,718 without stop words | 264 million; with them 357 million |
//! | words of a query | about 6 | 2 to 10, mean 5.8, of these 1.4 stop words |
//! | postings of a query / passages | | mean 0.81, 99 % below 2.5 |
//!
//! Sources: the statistics published with Anserini's Lucene index of MS MARCO passages (Porter's stemmer, Lucene's
//! 33 English stop words removed): 2,660,824 terms, 352,316,036 words, 266,247,718 postings. Words here stand for
//! stems, and are spelled shorter than English ones (3.6 letters).
//!
//! How: words are ranks of Zipf's law in two parts, as Gerlach and Altmann found it ("Stochastic Model for the
//! Vocabulary Growth in Natural Languages", 2013): frequencies fall with the rank to the power 1 up to some ten
//! thousand words that all texts share, and faster beyond. The commonest 64 ranks are function words, of which
//! some texts have more and others fewer. All others are words of a *topic*: a topic knows one word of each
//! group of neighbouring ranks, the groups growing with the rank, so that a word is common where it belongs and
//! frequencies over all texts stay what they were. A *subject* is what about ten passages are about: it has a topic
//! and a few words of it that come again and again. Half of a subject's passages follow one another, as
//! in MS MARCO, where passages are in the order of the questions they were found for; the others are
//! anywhere. A query asks for the subject of one passage: function words, words of questions, and words of the
//! subject. Stop words are not removed: the long lists are what pruning is about.

use crate::random::Random;

/// Ranks below are function words.
const FUNCTION_WORDS: u32 = 64;
/// Ranks below are what Lucene calls stop words: as many as on its English list.
const STOP_WORDS: u32 = 33;
/// Words that questions are made of: "what", "how", "mean" and such.
const QUESTION_WORDS: u32 = 192;
/// Ranks end here; so few draws go beyond the millions that the end does not show.
pub const RANKS: u32 = 1 << 25;
/// Added to ranks, so that the commonest word is not twice as common as the next.
const OFFSET: f64 = 1.4;
/// Up to this rank frequencies fall with the power 1, then with `TAIL`.
const SHARED: f64 = 16_384.0;
const TAIL: f64 = 1.71;

const TOPICS: usize = 2_000;
const SUBJECT_DOCUMENTS: usize = 10;
const SUBJECT_WORDS: usize = 8;
const LENGTH_MEAN: f64 = 56.0;
const LENGTH_DEVIATION: f64 = 23.0;
/// Queries of 2, 3, ... words in a hundred.
const QUERY_LENGTHS: [usize; 9] = [3, 9, 15, 19, 19, 15, 10, 6, 4];

const FOR_SUBJECTS: u64 = 11;
const FOR_DOCUMENTS: u64 = 12;
const FOR_QUERIES: u64 = 13;
const FOR_TOPICS: u64 = 14;

/// Makes documents and queries, each from its number alone.
pub struct Generator {
    seed: u64,
    documents: usize,
    /// Share of all words that are function words.
    function_share: f64,
    /// Share of the other words that have ranks of the second part.
    tail_share: f64,
    /// Mean and deviation of the logarithm of lengths.
    log_length: (f64, f64),
}

/// What some passages are about.
struct Subject {
    topic: u64,
    words: [u32; SUBJECT_WORDS],
}

impl Generator {
    pub fn new(documents: usize, seed: u64) -> Self {
        let mass = |from: u32| ((SHARED + OFFSET) / (f64::from(from) + OFFSET)).ln();
        let tail = 1.0 / (TAIL - 1.0);
        let all = mass(0) + tail;
        let content = mass(FUNCTION_WORDS) + tail;
        let variance = (LENGTH_DEVIATION / LENGTH_MEAN).powi(2).ln_1p();
        Self {
            seed,
            documents,
            function_share: 1.0 - content / all,
            tail_share: tail / content,
            log_length: (LENGTH_MEAN.ln() - variance / 2.0, variance.sqrt()),
        }
    }

    /// The words of a document, as ranks.
    pub fn document(&self, number: usize, words: &mut Vec<u32>) {
        words.clear();
        let mut random = Random::new(self.seed, FOR_DOCUMENTS, number as u64);
        let (mean, deviation) = self.log_length;
        let length = (mean + deviation * random.normal()).exp();
        let length = (length.round() as usize).clamp(8, 230);
        let subject = self.subject(self.subject_of(number, &mut random));
        let aside = random.below(TOPICS) as u64;
        let aside_share = if random.share() < 0.4 { 0.2 } else { 0.0 };
        let function_share = self.function_share * (0.5 + random.share());
        let mut content = [0; 256];
        let mut contents = 0;
        for _ in 0..length {
            if random.share() < function_share {
                words.push(ranks_of_power_1(0, FUNCTION_WORDS, &mut random));
                continue;
            }
            let kind = random.share();
            let word = if kind < 0.12 && contents > 0 {
                content[random.below(contents)]
            } else if kind < 0.34 {
                // The first words of a subject are more of it than the last.
                let place = random.below(SUBJECT_WORDS).min(random.below(SUBJECT_WORDS));
                subject.words[place]
            } else if kind < 0.80 - aside_share {
                self.topical(subject.topic, &mut random)
            } else if kind < 0.80 {
                self.topical(aside, &mut random)
            } else {
                self.word(&mut random)
            };
            content[contents] = word;
            contents += 1;
            words.push(word);
        }
    }

    /// The words of a query, as ranks, each once.
    pub fn query(&self, number: usize, words: &mut Vec<u32>) {
        words.clear();
        let mut random = Random::new(self.seed, FOR_QUERIES, number as u64);
        let mut length = 2;
        let mut share = random.below(QUERY_LENGTHS.iter().sum());
        for of_length in QUERY_LENGTHS {
            if share < of_length {
                break;
            }
            share -= of_length;
            length += 1;
        }
        let subject = random.below(self.documents.div_ceil(SUBJECT_DOCUMENTS));
        let subject = self.subject(subject);
        // The first word of a subject is always asked for.
        words.push(subject.words[0]);
        while words.len() < length {
            let word = match random.share() {
                s if s < 0.27 => ranks_of_power_1(0, STOP_WORDS, &mut random),
                s if s < 0.42 => ranks_of_power_1(STOP_WORDS, QUESTION_WORDS, &mut random),
                s if s < 0.85 => subject.words[random.below(SUBJECT_WORDS)],
                _ => self.topical(subject.topic, &mut random),
            };
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words.rotate_left(1);
    }

    fn subject_of(&self, document: usize, random: &mut Random) -> usize {
        let subjects = self.documents.div_ceil(SUBJECT_DOCUMENTS);
        let anywhere = random.below(subjects);
        if random.share() < 0.5 {
            document / SUBJECT_DOCUMENTS
        } else {
            anywhere
        }
    }

    fn subject(&self, number: usize) -> Subject {
        let mut random = Random::new(self.seed, FOR_SUBJECTS, number as u64);
        // The first topics have several times the subjects of the last.
        let topic = (random.share().powf(1.5) * TOPICS as f64) as u64;
        let words = std::array::from_fn(|_| self.topical(topic, &mut random));
        Subject { topic, words }
    }

    /// A word that is no function word.
    fn word(&self, random: &mut Random) -> u32 {
        if random.share() >= self.tail_share {
            return ranks_of_power_1(FUNCTION_WORDS, SHARED as u32, random);
        }
        let share = 1.0 - random.share();
        let rank = (SHARED + OFFSET) * share.powf(-1.0 / (TAIL - 1.0)) - OFFSET;
        (rank as u32).min(RANKS - 1)
    }

    /// A word of a topic: a word is drawn as from all, and the topic's of the same group is taken.
    fn topical(&self, topic: u64, random: &mut Random) -> u32 {
        let rank = self.word(random);
        // Groups are within ranks from one power of 2 to the next, and have 16 words, 16, 32, 32, 64, ...
        let octave = rank.ilog2();
        let group_bits = 4 + (octave - FUNCTION_WORDS.ilog2()) / 2;
        let group = rank >> group_bits;
        let member = Random::new(self.seed, FOR_TOPICS ^ topic << 8, u64::from(group)).next();
        group << group_bits | (member >> (64 - group_bits)) as u32
    }
}

/// A rank of a range, rank r with a probability of about 1 / (r + offset).
fn ranks_of_power_1(start: u32, end: u32, random: &mut Random) -> u32 {
    let (low, high) = (f64::from(start) + OFFSET, f64::from(end) + OFFSET);
    let rank = low * (random.share() * (high / low).ln()).exp() - OFFSET;
    (rank as u32).clamp(start, end - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frequencies(documents: usize) -> Vec<usize> {
        let generator = Generator::new(documents, 1);
        let (mut words, mut counts) = (Vec::new(), vec![0; RANKS as usize]);
        for number in 0..documents {
            generator.document(number, &mut words);
            for word in &words {
                counts[*word as usize] += 1;
            }
        }
        counts
    }

    #[test]
    fn topics_leave_the_frequencies_of_ranks_as_they_are() {
        let counts = frequencies(20_000);
        let total: usize = counts.iter().sum();
        let share =
            |from: usize, to: usize| counts[from..to].iter().sum::<usize>() as f64 / total as f64;
        let mass = |from: f64, to: f64| ((to + OFFSET) / (from + OFFSET)).ln();
        let all = mass(0.0, SHARED) + 1.0 / (TAIL - 1.0);
        for (from, to) in [
            (0, 1),
            (1, 4),
            (4, 64),
            (64, 512),
            (512, 4_096),
            (4_096, 16_384),
        ] {
            let expected = mass(from as f64, to as f64) / all;
            let found = share(from, to);
            assert!(
                (found / expected - 1.0).abs() < 0.05,
                "{from}: {found} {expected}"
            );
        }
    }

    #[test]
    fn queries_have_two_to_ten_different_words() {
        let generator = Generator::new(1_000, 1);
        let (mut words, mut total) = (Vec::new(), 0);
        for number in 0..2_000 {
            generator.query(number, &mut words);
            assert!((2..=10).contains(&words.len()));
            total += words.len();
            let mut sorted = words.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), words.len());
        }
        assert!((5.4..6.2).contains(&(total as f64 / 2_000.0)));
    }

    #[test]
    fn passages_of_a_subject_share_its_words() {
        let generator = Generator::new(10_000, 1);
        let mut words = Vec::new();
        let subject = generator.subject(3);
        let of_subject = (30..40)
            .filter(|number| {
                generator.document(*number, &mut words);
                subject
                    .words
                    .iter()
                    .filter(|word| words.contains(word))
                    .count()
                    >= 3
            })
            .count();
        assert!((2..=8).contains(&of_subject), "{of_subject}");
    }
}
