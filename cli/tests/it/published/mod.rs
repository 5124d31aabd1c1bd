//! Miniatures of published collections, with generated texts, and what they are converted to.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::command::{Ran, Scratch};

/// Names of things, of which every document has one of its own: short texts in the language of the
/// collection are made of them.
pub const PORTUGUESE: [&str; 30] = [
    "abelha",
    "baleia",
    "caranguejo",
    "doninha",
    "elefante",
    "falcão",
    "gaivota",
    "hiena",
    "iguana",
    "jacaré",
    "lagarto",
    "macaco",
    "narval",
    "ovelha",
    "pinguim",
    "quati",
    "raposa",
    "sapo",
    "tatu",
    "urubu",
    "vaca",
    "zebra",
    "cavalo",
    "girafa",
    "lontra",
    "morcego",
    "polvo",
    "salmão",
    "tubarão",
    "javali",
];

pub const KOREAN: [&str; 20] = [
    "서울", "부산", "대구", "인천", "광주", "대전", "울산", "수원", "춘천", "강릉", "청주", "전주",
    "여수", "포항", "경주", "제주", "통영", "안동", "목포", "군산",
];

/// The content of a file.
pub fn read(scratch: &Scratch, name: &str) -> String {
    std::fs::read_to_string(scratch.path(name)).unwrap()
}

/// The objects of a file of JSON Lines.
pub fn objects(scratch: &Scratch, name: &str) -> Vec<Value> {
    let text = read(scratch, name);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The rows of a file of judgements, without the header.
pub fn qrels(scratch: &Scratch, part: &str) -> Vec<[String; 3]> {
    let text = read(scratch, &format!("out/qrels/{part}.tsv"));
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("query-id\tcorpus-id\tscore"));
    let columns = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
    lines
        .map(|line| columns(line).try_into().unwrap())
        .collect()
}

/// True if there is a file of judgements of this part.
pub fn has_part(scratch: &Scratch, part: &str) -> bool {
    scratch.path(&format!("out/qrels/{part}.tsv")).exists()
}

/// The converted folder can be indexed, searched and evaluated: of each query of the test part the
/// relevant document is found.
#[track_caller]
pub fn assert_usable(scratch: &Scratch, language: &str) {
    let index = format!("index out --index index --language {language} --json --quiet");
    let report: Value = serde_json::from_str(&scratch.run(&index).done()).unwrap();
    let documents = objects(scratch, "out/corpus.jsonl");
    assert_eq!(report["documents"], documents.len());
    let search =
        "search --index index --queries out/queries.jsonl --qrels out/qrels/test.tsv --output run";
    scratch.run(search).done();
    let eval = "eval --qrels out/qrels/test.tsv run --metrics recall@10 --json";
    let report: Value = serde_json::from_str(&scratch.run(eval).done()).unwrap();
    let recall = report["runs"][0]["metrics"]["recall@10"].as_f64().unwrap();
    assert!(recall > 0.99, "{report}");
    for document in documents {
        assert!(document["_id"].is_string() && document["title"].is_string());
        assert!(document["text"].is_string(), "{document}");
    }
}

/// The report of a run, as JSON.
#[track_caller]
pub fn json_of(ran: Ran) -> Value {
    serde_json::from_str(&ran.done()).unwrap()
}

/// A miniature of mMARCO: passages, queries of two parts, judgements and triplets.
pub fn ms_marco() -> Scratch {
    let scratch = Scratch::new();
    let (mut passages, mut train, mut dev) = (String::new(), String::new(), String::new());
    let (mut train_qrels, mut dev_qrels, mut triplets) =
        (String::new(), String::new(), String::new());
    for (id, name) in PORTUGUESE.iter().enumerate() {
        writeln!(
            passages,
            "{id}\tA vida de um animal como {name}, em poucas palavras."
        )
        .unwrap();
        let query = 1_000 + id;
        match id % 3 {
            0 => {
                writeln!(dev, "{query}\to que é {name}").unwrap();
                writeln!(dev_qrels, "{query} 0 {id} 1").unwrap();
            }
            _ => {
                writeln!(train, "{query}\ta vida de um animal, {name}").unwrap();
                writeln!(train_qrels, "{query}\t0\t{id}\t1").unwrap();
                for negative in [(id + 1) % 30, (id + 2) % 30] {
                    writeln!(triplets, "{query}\t{id}\t{negative}").unwrap();
                }
            }
        }
    }
    train.push_str("9999\tuma pergunta sem resposta\n");
    scratch.write("collection.tsv", passages);
    scratch.write("queries.train.tsv", train);
    scratch.write("queries.dev.tsv", dev);
    scratch.write("qrels.train.tsv", train_qrels);
    scratch.write("qrels.dev.tsv", dev_qrels);
    scratch.write("triples.ids.tsv", triplets);
    scratch
}

/// The conversion of [`ms_marco`], with judgements for evaluation.
pub const MS_MARCO: &str = "convert ms-marco collection.tsv --queries queries.train.tsv --queries queries.dev.tsv \
                        --output out --test qrels.dev.tsv";

/// `content` as a gzip member.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A miniature of Robust04 in Portuguese: documents in SGML, topics and judgements.
pub fn robust() -> Scratch {
    let scratch = Scratch::new();
    let (mut documents, mut topics, mut qrels) = (String::new(), String::new(), String::new());
    for (number, name) in PORTUGUESE.iter().enumerate() {
        let id = format!("FT911-{number}");
        write!(
            documents,
            "<DOC>\n<DOCNO> {id} </DOCNO>\n<HEADLINE>Notícias sobre {name}</HEADLINE>\n<TEXT>\nHoje se fala de \
             {name} &amp; de outros.\n</TEXT>\n</DOC>\n"
        )
        .unwrap();
        if number % 2 == 0 {
            let topic = 301 + number;
            write!(
                topics,
                "<top>\n<num> Number: {topic}\n<title> {name}\n\n<desc> Description:\nO que se sabe sobre {name}?\n\n\
                 <narr> Narrative:\nTudo.\n</top>\n"
            )
            .unwrap();
            writeln!(qrels, "{topic} 0 {id} 2\n{topic} 0 FT911-{} 0", number + 1).unwrap();
        }
    }
    scratch.write("disk4/FT911_1", documents);
    scratch.write("topics.robust04.txt", topics);
    scratch.write("qrels.robust04.txt", qrels);
    scratch
}

/// The conversion of [`robust`], without judgements.
pub const ROBUST: &str = "convert trec disk4 --queries topics.robust04.txt --output out";

/// A miniature of KLUE-MRC: every city has an article with two paragraphs.
pub fn klue(cities: &[&str], name: &str) -> Value {
    let articles = cities.iter().map(|city| {
        let question = |number: usize, text: String, is_impossible: bool| {
            json!({
                "question": text, "question_type": 1, "is_impossible": is_impossible, "answers": [],
                "guid": format!("{name}_{city}_{number}"),
            })
        };
        json!({
            "title": format!("{city}의 이야기"), "news_category": null, "source": "wikipedia",
            "paragraphs": [
                {
                    "context": format!("{city}에는 오래된 시장이 있다."),
                    "qas": [
                        question(1, format!("{city}에 있는 오래된 것은?"), false),
                        question(2, format!("{city}의 시장은 누가 열었나?"), true),
                    ],
                },
                {
                    "context": format!("{city}의 박물관은 월요일에 쉰다."),
                    "qas": [question(3, format!("{city} 박물관이 쉬는 날은?"), false)],
                },
            ],
        })
    });
    json!({"version": "v1.1", "data": articles.collect::<Vec<_>>()})
}

/// A BEIR folder with faults: the id 28 twice, an empty document, and judgements of a document and
/// of a query that are not there.
pub fn beir() -> Scratch {
    let scratch = Scratch::new();
    let mut corpus = String::new();
    for (number, name) in PORTUGUESE.iter().enumerate() {
        let document = json!({"_id": number.to_string(), "title": name, "text": format!("Sobre {name}."), "metadata": {}});
        writeln!(corpus, "{document}").unwrap();
    }
    corpus.push_str(
        "{\"_id\":\"28\",\"text\":\"outro\"}\n{\"_id\":\"30\",\"title\":\"\",\"text\":\" \"}\n",
    );
    scratch.write("beir/corpus.jsonl", corpus);
    let queries = (0..6).map(|query| {
        format!(
            "{{\"_id\":\"q{query}\",\"text\":\"{}\"}}\n",
            PORTUGUESE[query]
        )
    });
    scratch.write("beir/queries.jsonl", queries.collect::<String>());
    let header = "query-id\tcorpus-id\tscore\n";
    scratch.write(
        "beir/qrels/validation.tsv",
        format!("{header}q0\t0\t1\nq1\tmissing\t1\nq1\t1\t1\n"),
    );
    scratch.write(
        "beir/qrels/test.tsv",
        format!("{header}q2\t2\t1\nnobody\t3\t1\n"),
    );
    scratch.write("beir/qrels/fold-a.tsv", format!("{header}q4\t4\t1\n"));
    scratch
}
