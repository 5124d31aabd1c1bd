//! The measures, computed from the grades of one ranking.

use std::collections::HashMap;

use super::metric::{Measure, Metric};
use super::names::encoded;
use super::run::ScoredDocument;

/// A ranking with the judgments to evaluate it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct JudgedRanking {
    /// For each rank, the grade of the document, or `None` if it was not judged.
    ranked: Vec<Option<i32>>,
    /// The positive grades of all judged documents in descending order: the ideal ranking.
    ideal: Vec<i32>,
    /// Number of graded documents; a negative grade marks a document as not graded.
    graded: usize,
}

impl JudgedRanking {
    /// Looks up the documents of a ranking, best first, among the judged ones.
    pub(super) fn new(ranking: &[&ScoredDocument], judgments: &HashMap<String, i32>) -> Self {
        // Qrels in columns cannot contain white space either, so they may have ids in the encoded
        // form of a run.
        let grade = |hit: &&ScoredDocument| {
            let id = &hit.document;
            let grade = judgments.get(id);
            grade.or_else(|| judgments.get(&*encoded(id))).copied()
        };
        let mut ideal: Vec<i32> = judgments.values().copied().filter(|&g| g > 0).collect();
        ideal.sort_unstable_by(|a, b| b.cmp(a));
        Self {
            ranked: ranking.iter().map(grade).collect(),
            ideal,
            graded: judgments.values().filter(|&&grade| grade >= 0).count(),
        }
    }

    /// The value of a metric, from 0 to 1; 0 when no document is relevant or none was returned.
    pub(super) fn measure(&self, metric: &Metric) -> f64 {
        let cutoff = metric.cutoff().unwrap_or(usize::MAX);
        let level = metric.relevance_level();
        match metric.measure() {
            Measure::Ndcg => self.ndcg(self.ranked.iter().map(|grade| grade.unwrap_or(0)), cutoff),
            Measure::NdcgJudged => {
                // A negative grade marks a document as not graded.
                let judged = self.ranked.iter().flatten().copied();
                self.ndcg(judged.filter(|&grade| grade >= 0), cutoff)
            }
            Measure::ReciprocalRank => self.reciprocal_rank(cutoff, level),
            Measure::Recall => ratio(self.found(cutoff, level), self.relevant(level)),
            Measure::Precision => ratio(self.found(cutoff, level), cutoff),
            Measure::AveragePrecision => self.average_precision(cutoff, level),
            Measure::Success => f64::from(u8::from(self.found(cutoff, level) > 0)),
            Measure::Judged => self.judged(cutoff),
            Measure::Bpref => self.bpref(level),
            Measure::RPrecision => {
                let relevant = self.relevant(level);
                ratio(self.found(relevant, level), relevant)
            }
            Measure::SetPrecision => self.set_precision(level),
            Measure::SetRecall => ratio(self.found(cutoff, level), self.relevant(level)),
            Measure::SetF => {
                // 2PR / (P + R) with P = found / results and R = found / relevant.
                let found = self.found(cutoff, level);
                ratio(2 * found, self.ranked.len() + self.relevant(level))
            }
            Measure::SetAveragePrecision => {
                let recall = ratio(self.found(cutoff, level), self.relevant(level));
                self.set_precision(level) * recall
            }
        }
    }

    fn set_precision(&self, level: i32) -> f64 {
        ratio(self.found(usize::MAX, level), self.ranked.len())
    }

    /// Mean over the relevant documents of 1 minus the fraction of the first R documents judged not
    /// relevant that are ranked above it, where R is the number of relevant documents.
    fn bpref(&self, level: i32) -> f64 {
        let relevant = self.relevant(level);
        let counted = relevant.min(self.graded - relevant);
        let (mut not_relevant, mut sum) = (0, 0.0);
        for grade in self.ranked.iter().flatten() {
            if *grade >= level {
                sum += 1.0 - ratio(relevant.min(not_relevant), counted);
            } else if *grade >= 0 {
                not_relevant += 1;
            }
        }
        match relevant {
            0 => 0.0,
            relevant => sum / relevant as f64,
        }
    }

    /// Discounted cumulative gain of the ranking divided by that of the ideal ranking.
    fn ndcg(&self, grades: impl Iterator<Item = i32>, cutoff: usize) -> f64 {
        let ideal = discounted_gain(self.ideal.iter().copied(), cutoff);
        if ideal > 0.0 {
            discounted_gain(grades, cutoff) / ideal
        } else {
            0.0
        }
    }

    fn reciprocal_rank(&self, cutoff: usize, level: i32) -> f64 {
        let mut first_ranks = self.ranked.iter().take(cutoff);
        match first_ranks.position(|&grade| is_relevant(grade, level)) {
            Some(index) => 1.0 / (index + 1) as f64,
            None => 0.0,
        }
    }

    fn average_precision(&self, cutoff: usize, level: i32) -> f64 {
        let mut found = 0;
        let mut sum = 0.0;
        for (index, &grade) in self.ranked.iter().take(cutoff).enumerate() {
            if is_relevant(grade, level) {
                found += 1;
                sum += ratio(found, index + 1);
            }
        }
        match self.relevant(level) {
            0 => 0.0,
            relevant => sum / relevant as f64,
        }
    }

    fn judged(&self, cutoff: usize) -> f64 {
        let depth = cutoff.min(self.ranked.len());
        ratio(self.ranked[..depth].iter().flatten().count(), depth)
    }

    /// Number of relevant documents among the first `cutoff`.
    fn found(&self, cutoff: usize, level: i32) -> usize {
        let first_ranks = self.ranked.iter().take(cutoff);
        first_ranks.filter(|&&g| is_relevant(g, level)).count()
    }

    /// Number of documents judged relevant, returned or not.
    fn relevant(&self, level: i32) -> usize {
        self.ideal.partition_point(|&grade| grade >= level)
    }
}

fn is_relevant(grade: Option<i32>, level: i32) -> bool {
    grade.is_some_and(|grade| grade >= level)
}

/// `part / whole`, or 0 if `whole` is 0.
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// Sum of the positive grades of the first `cutoff` ranks, each divided by `log2(rank + 1)`.
fn discounted_gain(grades: impl Iterator<Item = i32>, cutoff: usize) -> f64 {
    let mut sum = 0.0;
    for (index, grade) in grades.take(cutoff).enumerate() {
        if grade > 0 {
            sum += f64::from(grade) / ((index + 2) as f64).log2();
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::super::randomization::SplitMix64;
    use super::*;

    /// Reference: each measure computed by its definition, from names and judgments.
    fn oracle(metric: &Metric, ranking: &[String], judgments: &HashMap<String, i32>) -> f64 {
        let level = metric.relevance_level();
        let grade = |name: &String| judgments.get(name).copied();
        let relevant = |name: &String| grade(name).is_some_and(|g| g >= level);
        let total = judgments.values().filter(|&&g| g >= level).count() as f64;
        let depth = metric
            .cutoff()
            .unwrap_or(ranking.len().max(judgments.len()));
        let top = &ranking[..depth.min(ranking.len())];
        let gain = |names: &[String]| -> f64 {
            (0..names.len().min(depth))
                .map(|i| f64::from(grade(&names[i]).unwrap_or(0).max(0)) / (i as f64 + 2.0).log2())
                .sum()
        };
        let set = |of: f64| top.iter().filter(|n| relevant(n)).count() as f64 / of;
        let mut ideal: Vec<String> = judgments.keys().cloned().collect();
        ideal.sort_by_key(|name| -judgments[name]);
        let value = match metric.measure() {
            Measure::Ndcg => gain(ranking) / gain(&ideal),
            Measure::NdcgJudged => {
                let mut kept = ranking.to_vec();
                kept.retain(|name| grade(name).is_some_and(|g| g >= 0));
                gain(&kept) / gain(&ideal)
            }
            Measure::ReciprocalRank => (0..top.len())
                .map(|i| {
                    if relevant(&top[i]) {
                        1.0 / (i as f64 + 1.0)
                    } else {
                        0.0
                    }
                })
                .fold(0.0, f64::max),
            Measure::Recall => top.iter().filter(|n| relevant(n)).count() as f64 / total,
            Measure::Precision => top.iter().filter(|n| relevant(n)).count() as f64 / depth as f64,
            Measure::AveragePrecision => {
                let precision = |i: usize| {
                    top[..=i].iter().filter(|n| relevant(n)).count() as f64 / (i as f64 + 1.0)
                };
                let hits = (0..top.len()).filter(|&i| relevant(&top[i]));
                hits.map(precision).sum::<f64>() / total
            }
            Measure::Success => f64::from(u8::from(top.iter().any(relevant))),
            Measure::Judged => {
                top.iter().filter(|n| grade(n).is_some()).count() as f64 / top.len() as f64
            }
            Measure::Bpref => {
                let judged_against = |n: &&String| grade(n).is_some_and(|g| g >= 0 && g < level);
                let against = judgments.values().filter(|&&g| g >= 0 && g < level).count() as f64;
                let preference = |i: usize| {
                    let before = top[..i].iter().filter(judged_against).count() as f64;
                    match before {
                        0.0 => 1.0,
                        before => 1.0 - before.min(total) / against.min(total),
                    }
                };
                let hits = (0..top.len()).filter(|&i| relevant(&top[i]));
                hits.map(preference).sum::<f64>() / total
            }
            Measure::RPrecision => {
                let first = top.iter().take(total as usize);
                first.filter(|n| relevant(n)).count() as f64 / total
            }
            Measure::SetPrecision => set(top.len() as f64),
            Measure::SetRecall => set(total),
            Measure::SetF => {
                let (precision, recall) = (set(top.len() as f64), set(total));
                2.0 * precision * recall / (precision + recall)
            }
            Measure::SetAveragePrecision => set(top.len() as f64) * set(total),
        };
        if value.is_nan() { 0.0 } else { value }
    }

    fn random_case(random: &mut SplitMix64) -> (Vec<String>, HashMap<String, i32>) {
        let mut names: Vec<String> = (0..30).map(|n| format!("d{n}")).collect();
        for i in (1..names.len()).rev() {
            names.swap(i, random.below(i as u64 + 1) as usize);
        }
        let judged = random.below(20) as usize;
        let highest = random.below(5) as i64;
        let judgments = names
            .iter()
            .take(judged)
            .map(|name| {
                (
                    name.clone(),
                    (random.below(6) as i64 - 2).min(highest) as i32,
                )
            })
            .collect();
        for i in (1..names.len()).rev() {
            names.swap(i, random.below(i as u64 + 1) as usize);
        }
        names.truncate(random.below(25) as usize);
        (names, judgments)
    }

    #[test]
    fn every_measure_equals_its_definition() {
        let metrics = Metric::parse_list(
            "ndcg, ndcg@1, ndcg@5, ndcg', ndcg'@3, mrr, mrr@3, mrr(rel=2), recall@1, recall@10, \
             recall(rel=3)@5, p@1, p@5, p@50, p(rel=2)@5, map, map@4, map(rel=2)@10, success@1, \
             success(rel=2)@3, judged, judged@5, judged@40, bpref, bpref(rel=2), rprec, rprec(rel=2), \
             set_p, set_recall, set_f, set_map, set_map(rel=2)",
        )
        .unwrap();
        let mut random = SplitMix64::new(1);
        let mut positive = vec![0; metrics.len()];
        for _ in 0..2000 {
            let (names, judgments) = random_case(&mut random);
            let hits: Vec<ScoredDocument> = names
                .iter()
                .map(|name| ScoredDocument {
                    document: name.clone(),
                    score: 0.0,
                })
                .collect();
            let ranking = JudgedRanking::new(&hits.iter().collect::<Vec<_>>(), &judgments);
            for (metric, positive) in metrics.iter().zip(&mut positive) {
                let value = ranking.measure(metric);
                let expected = oracle(metric, &names, &judgments);
                assert!(
                    (value - expected).abs() < 1e-12,
                    "{metric}: {value} {expected}"
                );
                *positive += usize::from(value > 0.0);
            }
        }
        assert!(positive.iter().all(|&count| count > 100), "{positive:?}");
    }

    #[test]
    fn a_query_without_relevant_documents_scores_zero() {
        let judgments = HashMap::from([("a".to_owned(), 0), ("b".to_owned(), -1)]);
        let hit = ScoredDocument {
            document: "a".to_owned(),
            score: 1.0,
        };
        let ranking = JudgedRanking::new(&[&hit], &judgments);
        for metric in Metric::parse_list(
            "ndcg, ndcg'@5, mrr, recall@5, p@5, map, success@5, bpref, rprec, set_f",
        )
        .unwrap()
        {
            assert_eq!(ranking.measure(&metric), 0.0, "{metric}");
        }
    }

    #[test]
    fn an_empty_ranking_scores_zero() {
        let judgments = HashMap::from([("a".to_owned(), 1)]);
        let ranking = JudgedRanking::new(&[], &judgments);
        for metric in Metric::parse_list(
            "ndcg, ndcg'@5, mrr, recall@5, p@5, map, success@5, judged@5, bpref, rprec, set_f",
        )
        .unwrap()
        {
            assert_eq!(ranking.measure(&metric), 0.0, "{metric}");
        }
    }

    #[test]
    fn judged_counts_negative_grades_and_ndcg_of_judged_documents_skips_them() {
        let judgments = HashMap::from([("a".to_owned(), -1), ("b".to_owned(), 1)]);
        let hits = ["x", "a", "b"].map(|name| ScoredDocument {
            document: name.to_owned(),
            score: 0.0,
        });
        let ranking = JudgedRanking::new(&hits.iter().collect::<Vec<_>>(), &judgments);
        assert_eq!(ranking.measure(&"judged@2".parse().unwrap()), 0.5);
        assert_eq!(ranking.measure(&"ndcg'@1".parse().unwrap()), 1.0);
        assert_eq!(ranking.measure(&"ndcg@3".parse().unwrap()), 0.5);
    }
}
