//! Statistics of the generated vectors.

use super::generator::TERMS;

/// Sums over documents or over queries.
pub struct Shape {
    vectors: usize,
    /// Weights whose share of the sum is reported: this many largest.
    head: usize,
    postings: usize,
    head_share: f64,
    max: f32,
    weights: Vec<f32>,
    /// In how many vectors each term occurs.
    pub frequencies: Vec<u32>,
}

impl Shape {
    pub fn new(head: usize) -> Self {
        Self {
            vectors: 0,
            head,
            postings: 0,
            head_share: 0.0,
            max: 0.0,
            weights: Vec::new(),
            frequencies: vec![0; TERMS],
        }
    }

    pub fn add(&mut self, vector: &[(u32, f32)]) {
        let mut weights: Vec<f32> = vector.iter().map(|(_, weight)| *weight).collect();
        weights.sort_by(|a, b| b.total_cmp(a));
        let total: f32 = weights.iter().sum();
        let head: f32 = weights.iter().take(self.head).sum();
        self.head_share += f64::from(head / total);
        self.max = self.max.max(weights[0]);
        // One weight per vector is enough for quantiles.
        self.weights
            .push(weights[self.vectors.wrapping_mul(7_919) % weights.len()]);
        self.vectors += 1;
        self.postings += vector.len();
        for (term, _) in vector {
            self.frequencies[*term as usize] += 1;
        }
    }

    pub fn print(&self, what: &str) {
        let count = self.vectors as f64;
        let mut weights = self.weights.clone();
        weights.sort_by(f32::total_cmp);
        let quantile = |share: f64| weights[((weights.len() - 1) as f64 * share) as usize];
        println!(
            "{what}: {}, {:.1} terms each; {:.0} % of the sum in the {} largest weights; weights: 10 % \
             below {:.2}, half below {:.2}, 90 % below {:.2}, max {:.2}",
            self.vectors,
            self.postings as f64 / count,
            100.0 * self.head_share / count,
            self.head,
            quantile(0.1),
            quantile(0.5),
            quantile(0.9),
            self.max
        );
    }

    /// Lengths of the posting lists.
    pub fn print_lists(&self) {
        let mut lengths = self.frequencies.clone();
        lengths.retain(|length| *length > 0);
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        let share = |place: usize| {
            100.0 * f64::from(lengths[place.min(lengths.len() - 1)]) / self.vectors as f64
        };
        println!(
            "lists: {} terms occur, {:.0} postings each on average; the longest holds {:.1} % of the \
             documents, the 10th {:.1} %, the 100th {:.2} %, the 1,000th {:.2} %, the 10,000th {:.3} %",
            lengths.len(),
            self.postings as f64 / lengths.len() as f64,
            share(0),
            share(9),
            share(99),
            share(999),
            share(9_999)
        );
    }
}
