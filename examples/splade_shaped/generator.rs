//! Sparse vectors with the shape of SPLADE's.
//!
//! Published statistics of SPLADE on MS MARCO passages, and those generated here:
//!
//! | | published | here |
//! | --- | --- | --- |
//! | vocabulary; terms that occur | 30,522; 28,638 (v3) | 30,522; nearly all |
//! | non-zeros of a document, mean | 119 (CoCondenser), 170 (v3), 183 (Efficient) | 120 to 200, mean 140 |
//! | non-zeros of a query, mean | 43 (CoCondenser), 24 (v3), 6 (Efficient) | 30 to 45 |
//! | share of L1 in a document's 50 largest weights | about 75 % | about 75 % |
//! | share of L1 in a query's 10 largest weights | about 75 % | about 75 % |
//! | maximum weights | 2.5 to 3.5, being ln(1 + x) | 2.2 to 3.5 |
//! | most common terms | in half of the documents, with low weights | the same |
//!
//! Sources: Bruch et al., "Efficient Inverted Indexes for Approximate Retrieval over Learned Sparse
//! Representations", 2024 (CoCondenser, Efficient, L1); the statistics published with the SPLADE-v3
//! vectors of MS MARCO in Seismic's format (v3).
//!
//! Model: a *concept* is a term with eleven expansion terms; a *topic* is thirty concepts. A document
//! has one and a half topics, draws concepts from them and terms from the concepts, so that
//! expansions occur together; the other terms come from a background whose frequencies follow a
//! power law of the rank. Terms are ordered by a strength (concepts drawn early are strong, common
//! terms weak), and weights decrease exponentially with the place. A query draws from the concepts
//! of one document.

use super::random::Random;

/// Terms of the vocabulary.
pub const TERMS: usize = 30_522;
/// The maximum weight.
pub const MAX_WEIGHT: f32 = 3.5;

const CONCEPTS: usize = 5_000;
const CONCEPT_TERMS: usize = 12;
const TOPICS: usize = 400;
const TOPIC_CONCEPTS: usize = 30;

/// Terms with weights, unordered.
pub type Vector = Vec<(u32, f32)>;

const FOR_NAMES: u64 = 1;
const FOR_CONCEPTS: u64 = 2;
const FOR_TOPICS: u64 = 3;
const FOR_PLANS: u64 = 4;
const FOR_DOCUMENTS: u64 = 5;
const FOR_QUERIES: u64 = 6;

/// Generates documents and queries, each from its number alone.
pub struct Generator {
    seed: u64,
    documents: usize,
    /// The term of each rank, so that a term id says nothing about its frequency.
    names: Vec<u32>,
    concepts: Vec<[usize; CONCEPT_TERMS]>,
    topics: Vec<Vec<usize>>,
}

impl Generator {
    pub fn new(documents: usize, seed: u64) -> Self {
        let mut names: Vec<u32> = (0..TERMS as u32).collect();
        let mut random = Random::new(seed, FOR_NAMES, 0);
        for place in (1..TERMS).rev() {
            names.swap(place, random.below(place + 1));
        }
        let mut random = Random::new(seed, FOR_CONCEPTS, 0);
        let concepts = (0..CONCEPTS).map(|_| concept(&mut random)).collect();
        let mut random = Random::new(seed, FOR_TOPICS, 0);
        let topics = (0..TOPICS).map(|_| topic(&mut random)).collect();
        Self {
            seed,
            documents,
            names,
            concepts,
            topics,
        }
    }

    /// The concepts of a document, the most important first.
    fn plan(&self, document: usize) -> (usize, Vec<usize>) {
        let mut random = Random::new(self.seed, FOR_PLANS, document as u64);
        let topics = [random.rank(TOPICS, 30.0, 0.7), random.below(TOPICS)];
        let concepts = (0..40).map(|_| match random.share() {
            s if s < 0.65 => self.of_topic(topics[0], &mut random),
            s if s < 0.90 => self.of_topic(topics[1], &mut random),
            _ => random.below(CONCEPTS),
        });
        (topics[0], concepts.collect())
    }

    fn of_topic(&self, topic: usize, random: &mut Random) -> usize {
        self.topics[topic][random.rank(TOPIC_CONCEPTS, 8.0, 0.9)]
    }

    /// The vector of a document.
    pub fn document(&self, number: usize, draft: &mut Draft) -> Vector {
        let mut random = Random::new(self.seed, FOR_DOCUMENTS, number as u64);
        let length = 120 + (81.0 * random.share().powi(3)) as usize;
        draft.clear();
        for _ in 0..42 {
            let rank = random.rank(TERMS, 10.0, 1.05);
            // Rare terms are more informative, and models weight them higher.
            let strength = 0.15 + 0.35 * (rank as f64 / TERMS as f64).powf(0.3);
            draft.add(rank, strength * (0.5 + random.share()));
        }
        let mut intensity = 1.0;
        for concept in self.plan(number).1 {
            if draft.len() >= length {
                break;
            }
            self.add_concept(concept, intensity, 0.65, &mut random, draft);
            intensity *= 0.93;
        }
        self.fill(length, &mut random, draft);
        let max_weight = 2.2 + 0.9 * random.share();
        self.weigh(length, max_weight, 3.7, &mut random, draft)
    }

    /// The vector of a query.
    pub fn query(&self, number: usize, draft: &mut Draft) -> Vector {
        let mut random = Random::new(self.seed, FOR_QUERIES, number as u64);
        let length = 30 + random.below(16);
        let (topic, concepts) = self.plan(random.below(self.documents));
        draft.clear();
        for _ in 0..6 {
            draft.add(random.rank(TERMS, 10.0, 1.05), 0.1 * random.share());
        }
        for (place, concept) in concepts.iter().take(6).enumerate() {
            if random.share() < 0.5 || place == 0 {
                self.add_concept(
                    *concept,
                    0.8 + 0.2 * random.share(),
                    0.7,
                    &mut random,
                    draft,
                );
            }
        }
        while draft.len() < length {
            let concept = self.of_topic(topic, &mut random);
            if !self.add_concept(concept, 0.3, 0.3, &mut random, draft) {
                self.fill(draft.len() + 1, &mut random, draft);
            }
        }
        let max_weight = 2.0 + random.share();
        self.weigh(length, max_weight, 6.0, &mut random, draft)
    }

    /// Adds a concept's first term and, each with probability `keep`, its others; returns whether
    /// any was new.
    fn add_concept(
        &self,
        concept: usize,
        intensity: f64,
        keep: f64,
        random: &mut Random,
        draft: &mut Draft,
    ) -> bool {
        let before = draft.len();
        let mut strength = intensity;
        for (place, rank) in self.concepts[concept].iter().enumerate() {
            if place == 0 || random.share() < keep {
                draft.add(*rank, strength * (0.7 + 0.6 * random.share()));
            }
            strength *= 0.85;
        }
        draft.len() > before
    }

    /// Adds rare terms up to a length.
    fn fill(&self, length: usize, random: &mut Random, draft: &mut Draft) {
        while draft.len() < length {
            draft.add(random.rank(TERMS, 500.0, 0.5), 0.3 * random.share());
        }
    }

    /// The strongest terms, with weights that decrease exponentially with their place.
    fn weigh(
        &self,
        length: usize,
        max_weight: f64,
        fall: f64,
        random: &mut Random,
        draft: &mut Draft,
    ) -> Vector {
        draft.terms.sort_by(|a, b| b.1.total_cmp(&a.1));
        draft.terms.truncate(length);
        let weigh = |(place, (rank, _)): (usize, &(usize, f64))| {
            let share = place as f64 / length as f64;
            let weight = max_weight * (-fall * share).exp() * (0.9 + 0.2 * random.share());
            (self.names[*rank], weight as f32)
        };
        draft.terms.iter().enumerate().map(weigh).collect()
    }
}

fn concept(random: &mut Random) -> [usize; CONCEPT_TERMS] {
    let mut terms = [0; CONCEPT_TERMS];
    terms[0] = random.rank(TERMS, 300.0, 0.4);
    for term in &mut terms[1..] {
        *term = random.rank(TERMS, 60.0, 0.8);
    }
    terms
}

fn topic(random: &mut Random) -> Vec<usize> {
    let concepts = (0..TOPIC_CONCEPTS).map(|_| random.rank(CONCEPTS, 200.0, 0.6));
    concepts.collect()
}

/// Ranks with strengths, each rank once; reused between vectors to save allocations.
pub struct Draft {
    terms: Vec<(usize, f64)>,
    seen: Vec<u32>,
    now: u32,
}

impl Draft {
    pub fn new() -> Self {
        Self {
            terms: Vec::new(),
            seen: vec![0; TERMS],
            now: 0,
        }
    }

    fn clear(&mut self) {
        self.terms.clear();
        self.now += 1;
    }

    fn len(&self) -> usize {
        self.terms.len()
    }

    fn add(&mut self, rank: usize, strength: f64) {
        if self.seen[rank] != self.now {
            self.seen[rank] = self.now;
            self.terms.push((rank, strength));
        }
    }
}
