//! Sparse vectors with the shape of SPLADE's.
//!
//! What is published of SPLADE on MS MARCO passages, and what is made here:
//!
//! | | published | here |
//! | --- | --- | --- |
//! | vocabulary; terms that occur | 30,522; 28,638 (v3) | 30,522; nearly all |
//! | non-zeros of a document, mean | 119 (CoCondenser), 170 (v3), 183 (Efficient) | 120 to 200, mean 140 |
//! | non-zeros of a query, mean | 43 (CoCondenser), 24 (v3), 6 (Efficient) | 30 to 45 |
//! | share of L1 in a document's 50 greatest weights | about 75 % | about 75 % |
//! | share of L1 in a query's 10 greatest weights | about 75 % | about 75 % |
//! | greatest weights | 2.5 to 3.5, being ln(1 + x) | 2.2 to 3.5 |
//! | commonest terms | in half of the documents, with low weights | the same |
//!
//! Sources: Bruch et al., "Efficient Inverted Indexes for Approximate Retrieval over Learned Sparse
//! Representations", 2024 (CoCondenser, Efficient, L1); the statistics published with the SPLADE-v3 vectors of MS
//! MARCO in Seismic's format (v3).
//!
//! How: a *concept* is a term with eleven that come along when a model expands it; a *topic* is
//! thirty concepts. A document has a topic and a half, draws concepts from them and terms from the concepts, so
//! that expansions occur together; other terms come from a background whose frequencies fall by a power of the
//! rank. Terms are then ordered by a strength (concepts drawn early are strong, common terms weak) and
//! weights fall exponentially with the place. A query draws from the concepts of one document.
//!
//! Weights become integers: a document's are steps of 1/255 of 3.5, a query's of 1/18, both at least 1. Scores
//! then fit the 16 bits that some engines add them in.

use crate::random::{Random, Ranks};

/// Terms of the vocabulary.
pub const TERMS: usize = 30_522;

/// The greatest weight that a document's integers can stand for.
const GREATEST_WEIGHT: f32 = 3.5;
const DOCUMENT_STEPS: f32 = 255.0 / GREATEST_WEIGHT;
const QUERY_STEPS: f32 = 18.0;

const CONCEPTS: usize = 5_000;
const CONCEPT_TERMS: usize = 12;
const TOPICS: usize = 400;
const TOPIC_CONCEPTS: usize = 30;
/// Concepts of a document: more than its length has room for.
const PLANNED: usize = 40;

/// Terms with weights, terms rising.
pub type Vector = Vec<(u16, u8)>;

const FOR_NAMES: u64 = 1;
const FOR_CONCEPTS: u64 = 2;
const FOR_TOPICS: u64 = 3;
const FOR_PLANS: u64 = 4;
const FOR_DOCUMENTS: u64 = 5;
const FOR_QUERIES: u64 = 6;

/// Makes documents and queries, each from its number alone.
pub struct Generator {
    seed: u64,
    documents: usize,
    /// The term of each rank, so that a term's number says nothing of its frequency.
    names: Vec<u16>,
    concepts: Vec<[u16; CONCEPT_TERMS]>,
    topics: Vec<Vec<usize>>,
    of_topics: Ranks,
    within_topic: Ranks,
    background: Ranks,
    rare: Ranks,
}

impl Generator {
    pub fn new(documents: usize, seed: u64) -> Self {
        let mut names: Vec<u16> = (0..TERMS as u16).collect();
        let mut random = Random::new(seed, FOR_NAMES, 0);
        for place in (1..TERMS).rev() {
            names.swap(place, random.below(place + 1));
        }
        Self {
            seed,
            documents,
            names,
            concepts: concepts(seed),
            topics: topics(seed),
            of_topics: Ranks::new(TOPICS, 30.0, 0.7),
            within_topic: Ranks::new(TOPIC_CONCEPTS, 8.0, 0.9),
            background: Ranks::new(TERMS, 10.0, 1.05),
            rare: Ranks::new(TERMS, 500.0, 0.5),
        }
    }

    /// Topics of a document, the more important first.
    fn plan(&self, document: usize) -> Plan {
        let mut random = Random::new(self.seed, FOR_PLANS, document as u64);
        let topics = [self.of_topics.draw(&mut random), random.below(TOPICS)];
        Plan { random, topics }
    }

    /// The next concept that a document is about, the most important first.
    fn next_concept(&self, plan: &mut Plan) -> usize {
        match plan.random.share() {
            s if s < 0.65 => self.of_topic(plan.topics[0], &mut plan.random),
            s if s < 0.90 => self.of_topic(plan.topics[1], &mut plan.random),
            _ => plan.random.below(CONCEPTS),
        }
    }

    fn of_topic(&self, topic: usize, random: &mut Random) -> usize {
        self.topics[topic][self.within_topic.draw(random)]
    }

    /// The vector of a document.
    pub fn document(&self, number: usize, draft: &mut Draft) -> Vector {
        let mut random = Random::new(self.seed, FOR_DOCUMENTS, number as u64);
        let length = 120 + (81.0 * random.share().powi(3)) as usize;
        draft.clear();
        for _ in 0..42 {
            let rank = self.background.draw(&mut random);
            draft.add(
                rank as u16,
                draft.background[rank] * (0.5 + random.share() as f32),
            );
        }
        let (mut plan, mut intensity) = (self.plan(number), 1.0);
        for _ in 0..PLANNED {
            if draft.len() >= length {
                break;
            }
            let concept = self.next_concept(&mut plan);
            self.add_concept(concept, intensity, 0.65, &mut random, draft);
            intensity *= 0.93;
        }
        self.fill(length, &mut random, draft);
        let greatest = 2.2 + 0.9 * random.share() as f32;
        self.weigh(length, greatest, 3.7, DOCUMENT_STEPS, &mut random, draft)
    }

    /// The vector of a query.
    pub fn query(&self, number: usize, draft: &mut Draft) -> Vector {
        let mut random = Random::new(self.seed, FOR_QUERIES, number as u64);
        let length = 30 + random.below(16);
        let mut plan = self.plan(random.below(self.documents));
        draft.clear();
        for _ in 0..6 {
            let rank = self.background.draw(&mut random);
            draft.add(rank as u16, 0.1 * random.share() as f32);
        }
        for place in 0..6 {
            let concept = self.next_concept(&mut plan);
            if random.share() < 0.5 || place == 0 {
                let intensity = 0.8 + 0.2 * random.share() as f32;
                self.add_concept(concept, intensity, 0.7, &mut random, draft);
            }
        }
        while draft.len() < length {
            let concept = self.of_topic(plan.topics[0], &mut random);
            if !self.add_concept(concept, 0.3, 0.3, &mut random, draft) {
                self.fill(draft.len() + 1, &mut random, draft);
            }
        }
        let greatest = 2.0 + random.share() as f32;
        self.weigh(length, greatest, 6.0, QUERY_STEPS, &mut random, draft)
    }

    /// Adds a concept's first term and, each with probability `keep`, its others; whether any was new.
    fn add_concept(
        &self,
        concept: usize,
        intensity: f32,
        keep: f64,
        random: &mut Random,
        draft: &mut Draft,
    ) -> bool {
        let before = draft.len();
        let mut strength = intensity;
        for (place, rank) in self.concepts[concept].iter().enumerate() {
            if place == 0 || random.share() < keep {
                draft.add(*rank, strength * (0.7 + 0.6 * random.share() as f32));
            }
            strength *= 0.85;
        }
        draft.len() > before
    }

    /// Adds rare terms up to a length.
    fn fill(&self, length: usize, random: &mut Random, draft: &mut Draft) {
        while draft.len() < length {
            draft.add(self.rare.draw(random) as u16, 0.3 * random.share() as f32);
        }
    }

    /// The strongest terms, with weights that fall exponentially with their place.
    fn weigh(
        &self,
        length: usize,
        greatest: f32,
        fall: f32,
        steps: f32,
        random: &mut Random,
        draft: &mut Draft,
    ) -> Vector {
        draft.terms.sort_unstable_by(|a, b| b.cmp(a));
        draft.terms.truncate(length);
        let (step, mut weight) = ((-fall / length as f32).exp(), greatest * steps);
        let weigh = |key: &u64| {
            let noisy = weight * (0.9 + 0.2 * random.share() as f32);
            weight *= step;
            // The greatest is 3.41 of 3.5, so nothing is cut off.
            let rank = (key & 0xFFFF) as usize;
            (self.names[rank], noisy.round().max(1.0) as u8)
        };
        let mut vector: Vector = draft.terms.iter().map(weigh).collect();
        vector.sort_unstable();
        vector
    }
}

/// What a document is about, drawn as it is needed.
struct Plan {
    random: Random,
    topics: [usize; 2],
}

fn concepts(seed: u64) -> Vec<[u16; CONCEPT_TERMS]> {
    let (first, others) = (Ranks::new(TERMS, 300.0, 0.4), Ranks::new(TERMS, 60.0, 0.8));
    let mut random = Random::new(seed, FOR_CONCEPTS, 0);
    let concept = |_| {
        let mut terms = [0; CONCEPT_TERMS];
        terms[0] = first.draw(&mut random) as u16;
        for term in &mut terms[1..] {
            *term = others.draw(&mut random) as u16;
        }
        terms
    };
    (0..CONCEPTS).map(concept).collect()
}

fn topics(seed: u64) -> Vec<Vec<usize>> {
    let of_topic = Ranks::new(CONCEPTS, 200.0, 0.6);
    let mut random = Random::new(seed, FOR_TOPICS, 0);
    let topic = |_| {
        let concepts = (0..TOPIC_CONCEPTS).map(|_| of_topic.draw(&mut random));
        concepts.collect()
    };
    (0..TOPICS).map(topic).collect()
}

/// Ranks with strengths, each rank once; kept between vectors for its memory.
pub struct Draft {
    /// The bits of the strength, which sort as it does because it is not negative, above the rank.
    terms: Vec<u64>,
    seen: Vec<u32>,
    now: u32,
    /// The strength of each rank in the background: rare terms say more, and models give them more.
    background: Vec<f32>,
}

impl Draft {
    pub fn new() -> Self {
        let strength = |rank: usize| 0.15 + 0.35 * (rank as f32 / TERMS as f32).powf(0.3);
        Self {
            terms: Vec::new(),
            seen: vec![0; TERMS],
            now: 0,
            background: (0..TERMS).map(strength).collect(),
        }
    }

    fn clear(&mut self) {
        self.terms.clear();
        self.now += 1;
    }

    fn len(&self) -> usize {
        self.terms.len()
    }

    fn add(&mut self, rank: u16, strength: f32) {
        if self.seen[usize::from(rank)] != self.now {
            self.seen[usize::from(rank)] = self.now;
            self.terms
                .push(u64::from(strength.to_bits()) << 16 | u64::from(rank));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_depend_on_seed_and_number_alone() {
        let (mut fresh, mut used) = (Draft::new(), Draft::new());
        let generator = Generator::new(1_000, 1);
        generator.document(6, &mut used);
        generator.query(7, &mut used);
        assert_eq!(
            generator.document(7, &mut fresh),
            generator.document(7, &mut used)
        );
        assert_eq!(
            generator.query(7, &mut fresh),
            generator.query(7, &mut used)
        );
        let other = Generator::new(1_000, 2);
        assert_ne!(
            generator.document(7, &mut fresh),
            other.document(7, &mut used)
        );
    }

    #[test]
    fn terms_rise_and_lengths_are_in_their_range() {
        let (generator, mut draft) = (Generator::new(1_000, 1), Draft::new());
        for number in 0..500 {
            let document = generator.document(number, &mut draft);
            assert!((120..=201).contains(&document.len()));
            assert!(document.is_sorted_by(|a, b| a.0 < b.0));
            let query = generator.query(number, &mut draft);
            assert!((30..=45).contains(&query.len()));
            assert!(query.iter().all(|(_, weight)| (1..=60).contains(weight)));
        }
    }
}
