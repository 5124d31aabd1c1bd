//! The statistics of a folder of work, measured from its files.

use std::collections::HashMap;

use peers::Result;
use peers::documents::Documents;
use peers::work::{Kind, Work, vector};

/// Terms that count as stop words where these are told apart: Lucene's English list has as many.
const STOP_WORDS: usize = 33;
const RANKS: [usize; 8] = [1, 2, 10, 33, 100, 1_000, 10_000, 100_000];
/// Weights whose share of the sum is told: the greatest of a document, and of a query.
const HEADS: [usize; 2] = [50, 10];

/// Prints the statistics of a work.
pub fn print(work: &Work) -> Result<()> {
    println!(
        "{} ({}): {} documents",
        work.name,
        work.kind.name(),
        work.documents
    );
    match work.kind {
        Kind::Text | Kind::Forms => print_text(work),
        Kind::Sparse => print_sparse(work),
    }
}

/// How often each term occurs, in all and in how many documents.
#[derive(Default)]
struct Frequencies {
    numbers: HashMap<Vec<u8>, u32>,
    total: Vec<u64>,
    documents: Vec<u32>,
}

impl Frequencies {
    /// The number of a term, given when it is first seen.
    fn number(&mut self, term: &[u8]) -> u32 {
        match self.numbers.get(term) {
            Some(number) => *number,
            None => {
                let number = self.total.len() as u32;
                self.numbers.insert(term.to_vec(), number);
                self.total.push(0);
                self.documents.push(0);
                number
            }
        }
    }

    /// Counts the terms of a document; how many different ones there are.
    fn add(&mut self, terms: &mut Vec<u32>) -> usize {
        for term in &*terms {
            self.total[*term as usize] += 1;
        }
        terms.sort_unstable();
        terms.dedup();
        for term in &*terms {
            self.documents[*term as usize] += 1;
        }
        terms.len()
    }

    /// Postings of the terms of a query.
    fn postings<'a>(&self, terms: impl Iterator<Item = &'a [u8]>) -> u64 {
        let numbers = terms.filter_map(|term| self.numbers.get(term));
        numbers
            .map(|number| u64::from(self.documents[*number as usize]))
            .sum()
    }

    fn print_lists(&self, documents: usize) {
        let mut lists = self.documents.clone();
        lists.sort_unstable_by(|a, b| b.cmp(a));
        let shares = RANKS.iter().filter(|rank| **rank <= lists.len());
        let shares = shares.map(|rank| {
            let share = 100.0 * f64::from(lists[rank - 1]) / documents as f64;
            format!("{rank}: {share:.4} %")
        });
        println!(
            "documents that have the term of rank {}",
            shares.collect::<Vec<_>>().join(", ")
        );
        let postings: u64 = lists.iter().map(|list| u64::from(*list)).sum();
        println!(
            "{} terms occur, {} of them in one document; {postings} postings, {:.1} a document",
            lists.len(),
            lists.iter().filter(|list| **list == 1).count(),
            postings as f64 / documents as f64
        );
    }
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty())
}

fn print_text(work: &Work) -> Result<()> {
    let mut frequencies = Frequencies::default();
    let (mut lengths, mut numbers) = (Numbers::default(), Vec::new());
    let mut letters = 0;
    for chunk in Documents::open(work, None)? {
        for (_, line) in chunk?.records() {
            numbers.clear();
            numbers.extend(words(line).map(|word| frequencies.number(word)));
            letters += words(line).map(<[u8]>::len).sum::<usize>();
            lengths.add(numbers.len() as f64);
            frequencies.add(&mut numbers);
        }
    }
    let documents = lengths.0.len();
    lengths.print("words of a document");
    frequencies.print_lists(documents);
    let mut order: Vec<usize> = (0..frequencies.total.len()).collect();
    order.sort_unstable_by_key(|term| std::cmp::Reverse(frequencies.total[*term]));
    let total: u64 = frequencies.total.iter().sum();
    let (stop, others) = order.split_at(STOP_WORDS.min(order.len()));
    let sum = |terms: &[usize]| terms.iter().map(|t| frequencies.total[*t]).sum::<u64>() as f64;
    let different = others.iter().map(|t| u64::from(frequencies.documents[*t]));
    println!(
        "{total} words of {:.2} letters; {:.2} % are the commonest, {:.1} % the {STOP_WORDS} commonest; \
         without these a document has {:.1} words, {:.1} different ones",
        letters as f64 / total as f64,
        100.0 * sum(&stop[..1.min(stop.len())]) / total as f64,
        100.0 * sum(stop) / total as f64,
        sum(others) / documents as f64,
        different.sum::<u64>() as f64 / documents as f64
    );
    let stop: Vec<bool> = {
        let mut is_stop = vec![false; frequencies.total.len()];
        stop.iter().for_each(|term| is_stop[*term] = true);
        is_stop
    };
    let mut lengths = Numbers::default();
    let (mut postings, mut stop_words) = (Numbers::default(), 0);
    for query in work.read_queries(None)? {
        lengths.add(words(&query).count() as f64);
        let known = words(&query).filter_map(|word| frequencies.numbers.get(word));
        stop_words += known.filter(|term| stop[**term as usize]).count();
        postings.add(frequencies.postings(words(&query)) as f64 / documents as f64);
    }
    lengths.print("words of a query");
    println!(
        "{:.2} of them are among the {STOP_WORDS} commonest",
        stop_words as f64 / lengths.0.len() as f64
    );
    postings.print("postings of a query / documents");
    Ok(())
}

fn print_sparse(work: &Work) -> Result<()> {
    let mut frequencies = Frequencies::default();
    let mut shape = Shape::default();
    let mut numbers = Vec::new();
    for chunk in Documents::open(work, None)? {
        for (_, record) in chunk?.records() {
            shape.add(record, HEADS[0]);
            numbers.clear();
            for (term, _) in vector(record) {
                numbers.push(frequencies.number(&term.to_le_bytes()));
            }
            frequencies.add(&mut numbers);
        }
    }
    let documents = shape.lengths.0.len();
    shape.print("document", HEADS[0]);
    frequencies.print_lists(documents);
    let (mut shape, mut postings) = (Shape::default(), Numbers::default());
    for query in work.read_queries(None)? {
        shape.add(&query, HEADS[1]);
        let terms: Vec<[u8; 2]> = vector(&query).map(|(term, _)| term.to_le_bytes()).collect();
        let found = frequencies.postings(terms.iter().map(|term| &term[..]));
        postings.add(found as f64 / documents as f64);
    }
    shape.print("query", HEADS[1]);
    postings.print("postings of a query / documents");
    Ok(())
}

/// Lengths and weights of vectors.
#[derive(Default)]
struct Shape {
    lengths: Numbers,
    head_shares: Numbers,
    /// How many weights there are of each value.
    weights: Vec<u64>,
}

impl Shape {
    fn add(&mut self, record: &[u8], head: usize) {
        self.weights.resize(256, 0);
        let mut weights: Vec<u8> = vector(record).map(|(_, weight)| weight).collect();
        weights.sort_unstable_by(|a, b| b.cmp(a));
        for weight in &weights {
            self.weights[usize::from(*weight)] += 1;
        }
        let sum = |weights: &[u8]| weights.iter().map(|w| f64::from(*w)).sum::<f64>();
        let share = sum(&weights[..head.min(weights.len())]) / sum(&weights);
        self.lengths.add(weights.len() as f64);
        self.head_shares.add(100.0 * share);
    }

    fn print(&mut self, what: &str, head: usize) {
        self.lengths.print(&format!("terms of a {what}"));
        let name = format!("percent of the sum in the {head} greatest weights of a {what}");
        self.head_shares.print(&name);
        let total: u64 = self.weights.iter().sum();
        let quantile = |share: f64| {
            let mut below = 0;
            let place = self.weights.iter().position(|count| {
                below += count;
                below as f64 >= share * total as f64
            });
            place.unwrap_or_default()
        };
        let [tenth, half, ninth, greatest] = [0.1, 0.5, 0.9, 1.0].map(quantile);
        println!(
            "weights of a {what}: 10 % up to {tenth}, half up to {half}, 90 % up to {ninth}, greatest {greatest}"
        );
    }
}

/// Numbers of which the mean and quantiles are told.
#[derive(Default)]
struct Numbers(Vec<f32>);

impl Numbers {
    fn add(&mut self, number: f64) {
        self.0.push(number as f32);
    }

    fn print(&mut self, what: &str) {
        self.0.sort_unstable_by(f32::total_cmp);
        let count = self.0.len() as f64;
        let mean = self.0.iter().map(|n| f64::from(*n)).sum::<f64>() / count;
        let squares = self.0.iter().map(|n| (f64::from(*n) - mean).powi(2));
        let deviation = (squares.sum::<f64>() / count).sqrt();
        let quantile = |share: f64| self.0[((count - 1.0) * share) as usize];
        println!(
            "{what}: mean {mean:.2}, deviation {deviation:.2}, least {:.2}, 1 % {:.2}, half {:.2}, 99 % {:.2}, greatest {:.2}",
            quantile(0.0),
            quantile(0.01),
            quantile(0.5),
            quantile(0.99),
            quantile(1.0)
        );
    }
}
