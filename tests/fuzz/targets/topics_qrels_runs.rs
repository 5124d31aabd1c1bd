//! Bytes as the files of an evaluation: the first says which. A zero byte ends the judgements, and
//! a run follows.

use esparsa::eval::{EvaluateOptions, Metric, Qrels, Run, TopicPart, evaluate, read_queries};

const METRICS: &str = "ndcg@10,ndcg,map,mrr@10,p@5,recall@100,rprec,bpref,success@1,judged@10";
const PARTS: [TopicPart; 4] = [
    TopicPart::Title,
    TopicPart::Description,
    TopicPart::Narrative,
    TopicPart::TitleAndDescription,
];

pub fn run(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else {
        return;
    };
    match first % 4 {
        0 => {
            let _ = read_run(bytes);
        }
        1 => read_topics(bytes),
        _ => {
            let end = bytes.iter().position(|byte| *byte == 0);
            let (qrels, run) = bytes.split_at(end.unwrap_or(bytes.len()));
            let Ok(qrels) = Qrels::read(qrels, "qrels") else {
                return;
            };
            if let Some(run) = read_run(run.strip_prefix(&[0]).unwrap_or(run)) {
                score(&qrels, &run);
            }
        }
    }
}

/// A run that is read can be written, and reads the same.
fn read_run(bytes: &[u8]) -> Option<Run> {
    let run = Run::read(bytes, "run").ok()?;
    let mut written = Vec::new();
    let tag = run.tag().unwrap_or("tag");
    run.write(&mut written, "run", tag)
        .expect("a run that was read");
    let again = Run::read(&*written, "again").expect("a run that was written");
    assert!(
        run.queries()
            .filter(|query| !run.ranked(query).is_empty())
            .count()
            == again.len()
    );
    for query in again.queries() {
        assert_eq!(again.ranked(query), run.ranked(query), "{query}");
    }
    Some(run)
}

fn read_topics(bytes: &[u8]) {
    let read = PARTS.map(|part| read_queries(bytes, "topics", part));
    // Which part is asked for changes no id.
    let ids = read.into_iter().flatten().map(|queries| {
        let ids = queries.into_iter().map(|query| query.id);
        ids.collect::<Vec<_>>()
    });
    let ids: Vec<_> = ids.collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]));
}

fn score(qrels: &Qrels, run: &Run) {
    let metrics = Metric::parse_list(METRICS).expect("metrics");
    let Ok(report) = evaluate(qrels, run, &metrics, EvaluateOptions::default()) else {
        return;
    };
    for metric in &metrics {
        let values = report.values(metric).unwrap_or_default();
        assert!(values.iter().all(|value| value.is_finite()), "{metric}");
    }
    let _ = report.to_string();
}
