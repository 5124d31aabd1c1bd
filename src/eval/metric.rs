//! Measures and their names: `ndcg@10`, `recall(rel=2)@1000`, and those of trec_eval, such as
//! `ndcg_cut_10` and `recall_1000`.

use std::fmt;
use std::str::FromStr;

use super::lines::quote;
use crate::error::{Error, Result};

/// A measure without its cutoff and relevance level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Measure {
    /// Normalized discounted cumulative gain; the gain is the grade, the discount `log2(rank + 1)`.
    Ndcg,
    /// nDCG over judged documents only: the others are removed before ranks are counted.
    NdcgJudged,
    /// One over the rank of the first relevant document.
    ReciprocalRank,
    /// Fraction of the relevant documents that are among the first k.
    Recall,
    /// Fraction of the first k ranks with a relevant document; missing results count as not
    /// relevant.
    Precision,
    /// Mean over the relevant documents of the precision at their ranks.
    AveragePrecision,
    /// 1 if a relevant document is among the first k, otherwise 0.
    Success,
    /// Fraction of the first k results (of all results, if fewer) that have a judgment.
    Judged,
    /// Binary preference (Buckley and Voorhees, SIGIR 2004): how rarely a document judged not
    /// relevant is ranked above a relevant one. Documents without a judgment are ignored.
    Bpref,
    /// Precision at R, the number of relevant documents.
    RPrecision,
    /// Precision of all results, as a set.
    SetPrecision,
    /// Recall of all results, as a set.
    SetRecall,
    /// Harmonic mean of the precision and the recall of all results.
    SetF,
    /// Product of the precision and the recall of all results; trec_eval's `set_map`.
    SetAveragePrecision,
}

/// Whether a measure has a cutoff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cutoff {
    /// It always uses all results.
    Never,
    /// It uses all results unless there is a cutoff.
    Optional,
    /// It is not defined without one.
    Required,
}

/// The names of a measure, and which parameters they accept.
struct Spelling {
    measure: Measure,
    /// The canonical name, then its aliases, in lower case.
    names: &'static [&'static str],
    /// The name before the cutoff in trec_eval, in lower case: `ndcg_cut` of `ndcg_cut_10`.
    trec_eval: Option<&'static str>,
    cutoff: Cutoff,
    has_relevance_level: bool,
}

#[rustfmt::skip]
const SPELLINGS: [Spelling; 14] = [
    Spelling { measure: Measure::Ndcg, names: &["ndcg"], trec_eval: Some("ndcg_cut"), cutoff: Cutoff::Optional, has_relevance_level: false },
    Spelling { measure: Measure::NdcgJudged, names: &["ndcg'"], trec_eval: None, cutoff: Cutoff::Optional, has_relevance_level: false },
    Spelling { measure: Measure::ReciprocalRank, names: &["mrr", "rr", "recip_rank"], trec_eval: None, cutoff: Cutoff::Optional, has_relevance_level: true },
    Spelling { measure: Measure::Recall, names: &["recall", "r"], trec_eval: Some("recall"), cutoff: Cutoff::Required, has_relevance_level: true },
    Spelling { measure: Measure::Precision, names: &["p", "precision"], trec_eval: Some("p"), cutoff: Cutoff::Required, has_relevance_level: true },
    Spelling { measure: Measure::AveragePrecision, names: &["map", "ap"], trec_eval: Some("map_cut"), cutoff: Cutoff::Optional, has_relevance_level: true },
    Spelling { measure: Measure::Success, names: &["success"], trec_eval: Some("success"), cutoff: Cutoff::Required, has_relevance_level: true },
    Spelling { measure: Measure::Judged, names: &["judged"], trec_eval: None, cutoff: Cutoff::Optional, has_relevance_level: false },
    Spelling { measure: Measure::Bpref, names: &["bpref"], trec_eval: None, cutoff: Cutoff::Never, has_relevance_level: true },
    Spelling { measure: Measure::RPrecision, names: &["rprec"], trec_eval: None, cutoff: Cutoff::Never, has_relevance_level: true },
    Spelling { measure: Measure::SetPrecision, names: &["set_p", "setp"], trec_eval: None, cutoff: Cutoff::Never, has_relevance_level: true },
    Spelling { measure: Measure::SetRecall, names: &["set_recall", "setr"], trec_eval: None, cutoff: Cutoff::Never, has_relevance_level: true },
    Spelling { measure: Measure::SetF, names: &["set_f", "setf"], trec_eval: None, cutoff: Cutoff::Never, has_relevance_level: true },
    Spelling { measure: Measure::SetAveragePrecision, names: &["set_map", "setap"], trec_eval: None, cutoff: Cutoff::Never, has_relevance_level: true },
];

const KNOWN: &str = "ndcg, ndcg@k, ndcg'@k (judged documents only), mrr, mrr@k, recall@k (or r@k), \
                     p@k, map, map@k, success@k, judged@k, bpref, rprec, set_p, set_recall, set_f, \
                     set_map; all but ndcg and judged also with a relevance level, as in \
                     p(rel=2)@5; and trec_eval's names, such as ndcg_cut_10, P_5, recip_rank";

/// A measure with its cutoff and relevance level, such as `recall(rel=2)@1000`.
///
/// Names are read in any case; [`Display`](fmt::Display) gives the canonical one.
///
/// ```
/// use esparsa::eval::{Measure, Metric};
///
/// let metric: Metric = "R(rel=2)@1000".parse()?;
/// assert_eq!(metric.to_string(), "recall(rel=2)@1000");
/// assert_eq!(metric, Metric::new(Measure::Recall, Some(1000), 2)?);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Metric {
    measure: Measure,
    cutoff: Option<usize>,
    relevance_level: i32,
}

impl Metric {
    /// A metric; `cutoff` counts ranks, and documents with a grade of at least `relevance_level`
    /// are relevant (1 is usual).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a cutoff of 0, a relevance level below 1, a level other than 1
    /// for a measure without levels, recall, precision or success without a cutoff, and a cutoff
    /// for a measure of all results.
    pub fn new(measure: Measure, cutoff: Option<usize>, relevance_level: i32) -> Result<Self> {
        let spelling = spelling_of(measure);
        let name = spelling.names[0];
        if cutoff == Some(0) {
            return Err(Error::invalid(format!(
                "expected a cutoff of at least 1 for {name}, found 0"
            )));
        }
        match (spelling.cutoff, cutoff) {
            (Cutoff::Required, None) => Err(Error::invalid(format!(
                "expected a cutoff for {name}, as in {name}@10, found none"
            ))),
            (Cutoff::Never, Some(cutoff)) => Err(Error::invalid(format!(
                "{name} uses all results; leave out the cutoff {cutoff}"
            ))),
            _ => Ok(()),
        }?;
        if relevance_level < 1 {
            return Err(Error::invalid(format!(
                "expected a relevance level of at least 1 for {name}, found {relevance_level}"
            )));
        }
        if relevance_level != 1 && !spelling.has_relevance_level {
            return Err(Error::invalid(format!(
                "{name} has no relevance level; leave out (rel={relevance_level})"
            )));
        }
        Ok(Self {
            measure,
            cutoff,
            relevance_level,
        })
    }

    /// Reads names separated by commas, such as `ndcg@10, mrr@10`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for an unknown name, an empty list, and a metric that occurs twice.
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        let mut metrics: Vec<Self> = Vec::new();
        for name in text.split(',') {
            let metric: Self = name.parse()?;
            if metrics.contains(&metric) {
                return Err(Error::invalid(format!("metric {metric} is given twice")));
            }
            metrics.push(metric);
        }
        Ok(metrics)
    }

    /// The measure.
    pub fn measure(&self) -> Measure {
        self.measure
    }

    /// Number of ranks; `None` for all results.
    pub fn cutoff(&self) -> Option<usize> {
        self.cutoff
    }

    /// The minimum grade that counts as relevant.
    pub fn relevance_level(&self) -> i32 {
        self.relevance_level
    }
}

fn spelling_of(measure: Measure) -> &'static Spelling {
    // The table has one entry for each variant, in the order of the variants; a test checks it.
    &SPELLINGS[measure as usize]
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = spelling_of(self.measure).names[0].to_owned();
        if self.relevance_level != 1 {
            name.push_str(&format!("(rel={})", self.relevance_level));
        }
        if let Some(cutoff) = self.cutoff {
            name.push_str(&format!("@{cutoff}"));
        }
        f.pad(&name)
    }
}

impl FromStr for Metric {
    type Err = Error;

    /// Parses a name; the level may be before or after the cutoff.
    fn from_str(text: &str) -> Result<Self> {
        let name: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let name = name.to_lowercase();
        let (name, level) = take_level(&name, text)?;
        if let Some((measure, cutoff)) = of_trec_eval(&name) {
            return Self::new(measure, Some(cutoff), level);
        }
        let (name, cutoff) = match name.split_once('@') {
            None => (name.as_str(), None),
            Some((name, digits)) => match digits.parse() {
                Ok(cutoff) => (name, Some(cutoff)),
                Err(_) => {
                    return Err(Error::invalid(format!(
                        "expected an integer after `@` in metric {}, found {}",
                        quote(text),
                        quote(digits)
                    )));
                }
            },
        };
        match SPELLINGS.iter().find(|known| known.names.contains(&name)) {
            Some(known) => Self::new(known.measure, cutoff, level),
            None => Err(Error::invalid(format!(
                "unknown metric {}; known are {KNOWN}",
                quote(text)
            ))),
        }
    }
}

/// Parses a name with its cutoff in trec_eval's output form, `ndcg_cut_10`, or argument form,
/// `ndcg_cut.10`.
fn of_trec_eval(name: &str) -> Option<(Measure, usize)> {
    let (name, digits) = name.rsplit_once(['_', '.'])?;
    let known = SPELLINGS
        .iter()
        .find(|known| known.trec_eval == Some(name))?;
    Some((known.measure, digits.parse().ok()?))
}

/// Removes `(rel=N)` from a name; `text` is the original name, for errors.
fn take_level(name: &str, text: &str) -> Result<(String, i32)> {
    let Some((before, rest)) = name.split_once('(') else {
        return Ok((name.to_owned(), 1));
    };
    let parsed = rest.split_once(')').and_then(|(inside, after)| {
        let level = inside.strip_prefix("rel=")?.parse().ok()?;
        Some((format!("{before}{after}"), level))
    });
    parsed.ok_or_else(|| {
        Error::invalid(format!(
            "expected a relevance level such as (rel=2) in metric {}; known are {KNOWN}",
            quote(text)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        text.parse::<Metric>().unwrap().to_string()
    }

    fn message(text: &str) -> String {
        text.parse::<Metric>().unwrap_err().to_string()
    }

    #[test]
    fn the_table_of_names_follows_the_order_of_the_variants() {
        for (index, spelling) in SPELLINGS.iter().enumerate() {
            assert_eq!(spelling.measure as usize, index);
        }
    }

    #[test]
    fn every_spelling_is_read_back_as_itself() {
        for spelling in &SPELLINGS {
            for name in spelling.names {
                let cutoff = match spelling.cutoff {
                    Cutoff::Never => "",
                    Cutoff::Optional | Cutoff::Required => "@7",
                };
                let metric: Metric = format!("{name}{cutoff}").parse().unwrap();
                assert_eq!(metric.measure(), spelling.measure);
                assert_eq!(metric.to_string(), format!("{}{cutoff}", spelling.names[0]));
                assert_eq!(metric.to_string().parse::<Metric>().unwrap(), metric);
            }
        }
    }

    #[test]
    fn names_are_read_in_any_case_and_with_the_level_in_either_place() {
        assert_eq!(canonical("nDCG@10"), "ndcg@10");
        assert_eq!(canonical("NDCG'@10"), "ndcg'@10");
        assert_eq!(canonical("R@1000"), "recall@1000");
        assert_eq!(canonical("P(rel=2)@5"), "p(rel=2)@5");
        assert_eq!(canonical("P@5(rel=2)"), "p(rel=2)@5");
        assert_eq!(canonical(" mrr ( REL = 1 ) @ 10 "), "mrr@10");
        assert_eq!(canonical("MAP"), "map");
        assert_eq!(
            format!("{:>8}", "map".parse::<Metric>().unwrap()),
            "     map"
        );
    }

    #[test]
    fn the_names_of_trec_eval_are_known() {
        for (theirs, ours) in [
            ("ndcg_cut_10", "ndcg@10"),
            ("ndcg_cut.10", "ndcg@10"),
            ("ndcg", "ndcg"),
            ("P_10", "p@10"),
            ("recall_100", "recall@100"),
            ("map", "map"),
            ("map_cut_10", "map@10"),
            ("recip_rank", "mrr"),
            ("success_1", "success@1"),
            ("bpref", "bpref"),
            ("Rprec", "rprec"),
            ("set_P", "set_p"),
            ("set_recall", "set_recall"),
            ("set_F", "set_f"),
            ("set_map", "set_map"),
        ] {
            assert_eq!(canonical(theirs), ours);
        }
        assert!(message("P_0").contains("at least 1"));
        assert!(message("map_10").contains("unknown metric"));
    }

    #[test]
    fn unknown_names_are_answered_with_the_known_ones() {
        for text in ["infap", "", "@10", "ndcg_10", "ndcg_cut_x"] {
            let error = message(text);
            assert!(error.contains("unknown metric"), "{error}");
            for name in ["ndcg'@k", "recall@k", "success@k", "judged@k"] {
                assert!(error.contains(name), "{error}");
            }
        }
        assert!(message("p(x=2)@5").contains("known are"));
        assert!(message("p(rel=2@5").contains("known are"));
    }

    #[test]
    fn cutoffs_and_levels_are_checked() {
        assert!(message("ndcg@0").contains("at least 1"));
        assert!(message("ndcg@ten").contains("`ten`"));
        assert!(message("ndcg@-1").contains("an integer"));
        assert!(message("recall").contains("recall@10"));
        assert!(message("p").contains("cutoff"));
        assert!(message("success").contains("cutoff"));
        assert!(message("bpref@10").contains("leave out the cutoff"));
        assert!(message("map(rel=0)").contains("at least 1"));
        assert!(message("ndcg(rel=2)@10").contains("no relevance level"));
        assert!(message("judged(rel=2)@10").contains("no relevance level"));
    }

    #[test]
    fn lists_are_split_at_commas_and_refuse_repeats() {
        let names: Vec<String> = Metric::parse_list("ndcg@10, mrr@10,p(rel=2)@5")
            .unwrap()
            .iter()
            .map(Metric::to_string)
            .collect();
        assert_eq!(names, ["ndcg@10", "mrr@10", "p(rel=2)@5"]);
        let error = Metric::parse_list("r@5,recall@5").unwrap_err();
        assert!(error.to_string().contains("recall@5 is given twice"));
        assert!(Metric::parse_list("").is_err());
        assert!(Metric::parse_list("map,").is_err());
    }
}
