//! `esparsa convert`: a miniature of each published format becomes a collection that the other
//! subcommands read.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::command::{Ran, Scratch};

/// Names of things, of which every document has one of its own: short texts in the language of the
/// collection are made of them.
const PORTUGUESE: [&str; 30] = [
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
const KOREAN: [&str; 20] = [
    "서울", "부산", "대구", "인천", "광주", "대전", "울산", "수원", "춘천", "강릉", "청주", "전주",
    "여수", "포항", "경주", "제주", "통영", "안동", "목포", "군산",
];

fn read(scratch: &Scratch, name: &str) -> String {
    std::fs::read_to_string(scratch.path(name)).unwrap()
}

/// The objects of a file of JSON Lines.
fn objects(scratch: &Scratch, name: &str) -> Vec<Value> {
    let text = read(scratch, name);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The rows of a file of judgements, without the header.
fn qrels(scratch: &Scratch, part: &str) -> Vec<[String; 3]> {
    let text = read(scratch, &format!("out/qrels/{part}.tsv"));
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("query-id\tcorpus-id\tscore"));
    let columns = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
    lines
        .map(|line| columns(line).try_into().unwrap())
        .collect()
}

fn has_part(scratch: &Scratch, part: &str) -> bool {
    scratch.path(&format!("out/qrels/{part}.tsv")).exists()
}

/// The converted folder can be indexed, searched and evaluated: of each query of the test part the
/// relevant document is found.
#[track_caller]
fn assert_usable(scratch: &Scratch, language: &str) {
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

#[track_caller]
fn json_of(ran: Ran) -> Value {
    serde_json::from_str(&ran.done()).unwrap()
}

/// A miniature of mMARCO: passages, queries of two parts, judgements and triplets.
fn ms_marco() -> Scratch {
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
                writeln!(train, "{query}\tonde vive {name}").unwrap();
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

const MS_MARCO: &str = "convert ms-marco collection.tsv --queries queries.train.tsv --queries queries.dev.tsv \
                        --output out --test qrels.dev.tsv";

#[test]
fn ms_marco_becomes_a_collection() {
    let scratch = ms_marco();
    let report = json_of(scratch.run(&format!("{MS_MARCO} --train qrels.train.tsv --json")));
    assert_eq!(
        (&report["documents"], &report["queries"]),
        (&json!(30), &json!(30))
    );
    let parts = json!([
        {"part": "train", "queries": 20, "judgements": 20},
        {"part": "test", "queries": 10, "judgements": 10},
    ]);
    assert_eq!(report["parts"], parts);
    let left_out =
        json!([{"what": "query", "why": "without judgements of the documents", "count": 1}]);
    assert_eq!(report["left_out"], left_out);
    let first = json!({
        "_id": "0",
        "title": "",
        "text": "A vida de um animal como abelha, em poucas palavras.",
    });
    assert_eq!(objects(&scratch, "out/corpus.jsonl")[0], first);
    assert_eq!(qrels(&scratch, "test")[0], ["1000", "0", "1"]);
    assert!(!has_part(&scratch, "dev"));
    assert_usable(&scratch, "pt");
}

#[test]
fn triplets_of_ids_become_judgements_for_training_once_each() {
    let scratch = ms_marco();
    scratch
        .run(&format!("{MS_MARCO} --train qrels.train.tsv"))
        .done();
    let expected = qrels(&scratch, "train");
    std::fs::remove_dir_all(scratch.path("out")).unwrap();
    scratch
        .run(&format!("{MS_MARCO} --triplets triples.ids.tsv"))
        .done();
    assert_eq!(qrels(&scratch, "train"), expected);

    std::fs::remove_dir_all(scratch.path("out")).unwrap();
    scratch
        .run(&format!(
            "{MS_MARCO} --triplets triples.ids.tsv --dev-share 40"
        ))
        .done();
    let (train, dev) = (qrels(&scratch, "train"), qrels(&scratch, "dev"));
    assert!(!train.is_empty() && !dev.is_empty());
    assert_eq!(train.len() + dev.len(), expected.len());

    std::fs::remove_dir_all(scratch.path("out")).unwrap();
    scratch.write("texts.tsv", "onde vive a abelha\tum texto\toutro texto\n");
    let message = scratch
        .run(&format!("{MS_MARCO} --triplets texts.tsv"))
        .failed();
    assert!(
        message.contains("texts.tsv:1: expected ids of a triplet"),
        "{message}"
    );
    assert!(message.contains("`esparsa train --triplets`"), "{message}");
    let ran = scratch.run(&format!(
        "{MS_MARCO} --triplets texts.tsv --train qrels.train.tsv"
    ));
    assert_eq!(ran.code, Some(2));
}

#[test]
fn documents_of_ms_marco_have_a_title() {
    let scratch = Scratch::new();
    let rows = "D1\thttps://a.example/etna\tEtna\tA volcano in Sicily.\r\n\
                D2\thttps://a.example/bees\t\tBees dance.\r\n";
    scratch.write("msmarco-docs.tsv", rows);
    scratch.write("queries.tsv", "\u{feff}1\tetna volcano\n2\tdancing bees\n");
    scratch.write("qrels.tsv", "1 0 D1 1\n2 0 D2 1\n");
    scratch
        .run(
            "convert ms-marco msmarco-docs.tsv --queries queries.tsv --test qrels.tsv --output out",
        )
        .done();
    let expected = json!({"_id": "D1", "title": "Etna", "text": "A volcano in Sicily."});
    assert_eq!(objects(&scratch, "out/corpus.jsonl")[0], expected);
    assert_eq!(objects(&scratch, "out/queries.jsonl")[0]["_id"], "1");
    assert_usable(&scratch, "en");
}

#[test]
fn compressed_files_give_the_same_bytes() {
    let scratch = ms_marco();
    scratch
        .run(&format!("{MS_MARCO} --train qrels.train.tsv"))
        .done();
    let files = [
        "corpus.jsonl",
        "queries.jsonl",
        "qrels/train.tsv",
        "qrels/test.tsv",
    ];
    let expected = files.map(|file| read(&scratch, &format!("out/{file}")));
    std::fs::remove_dir_all(scratch.path("out")).unwrap();
    for name in [
        "collection.tsv",
        "queries.train.tsv",
        "qrels.train.tsv",
        "qrels.dev.tsv",
    ] {
        let packed = zstd::stream::encode_all(read(&scratch, name).as_bytes(), 1).unwrap();
        scratch.write(name, packed);
    }
    scratch.write(
        "queries.dev.tsv",
        gzip(read(&scratch, "queries.dev.tsv").as_bytes()),
    );
    scratch
        .run(&format!("{MS_MARCO} --train qrels.train.tsv"))
        .done();
    assert_eq!(
        files.map(|file| read(&scratch, &format!("out/{file}"))),
        expected
    );
}

fn gzip(content: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A miniature of Robust04 in Portuguese: documents in SGML, topics and judgements.
fn robust() -> Scratch {
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

const ROBUST: &str = "convert trec disk4 --queries topics.robust04.txt --output out";

#[test]
fn trec_becomes_a_collection_with_the_part_of_the_topics_that_is_named() {
    let scratch = robust();
    scratch
        .run(&format!("{ROBUST} --test qrels.robust04.txt"))
        .done();
    let first = &objects(&scratch, "out/corpus.jsonl")[0];
    assert_eq!(first["title"], "Notícias sobre abelha");
    assert_eq!(first["text"], "Hoje se fala de abelha & de outros.");
    assert_eq!(
        objects(&scratch, "out/queries.jsonl")[0],
        json!({"_id": "301", "text": "abelha"})
    );
    let judged = qrels(&scratch, "test");
    assert_eq!(judged[0], ["301", "FT911-0", "2"]);
    assert_eq!(judged[1], ["301", "FT911-1", "0"]);
    assert_usable(&scratch, "pt");

    std::fs::remove_dir_all(scratch.path("out")).unwrap();
    scratch
        .run(&format!(
            "{ROBUST} --test qrels.robust04.txt --topic-part description"
        ))
        .done();
    let query = &objects(&scratch, "out/queries.jsonl")[0]["text"];
    assert_eq!(query, "O que se sabe sobre abelha?");
}

#[test]
fn a_translation_in_tsv_files_and_folds_are_read() {
    let scratch = robust();
    let (mut documents, mut queries) = (String::new(), String::new());
    for (number, name) in PORTUGUESE.iter().enumerate() {
        writeln!(documents, "FT911-{number}\tHoje se fala\tde {name}.").unwrap();
        writeln!(queries, "{}\t{name}", 301 + number).unwrap();
    }
    scratch.write("collection.tsv", documents);
    scratch.write("queries.tsv", queries);
    let all = read(&scratch, "qrels.robust04.txt");
    for fold in 0..3 {
        let lines = all.lines().enumerate();
        let lines = lines.filter(|(line, _)| line / 2 % 3 == fold);
        let lines: Vec<&str> = lines.map(|(_, line)| line).collect();
        scratch.write(&format!("fold{fold}"), lines.join("\n"));
    }
    scratch
        .run(
            "convert trec collection.tsv --queries queries.tsv --train fold0 --train fold1 --test fold2 \
             --output out",
        )
        .done();
    assert_eq!(
        (
            qrels(&scratch, "train").len(),
            qrels(&scratch, "test").len()
        ),
        (20, 10)
    );
    assert_eq!(
        objects(&scratch, "out/corpus.jsonl")[0]["text"],
        "Hoje se fala\tde abelha."
    );
    assert_usable(&scratch, "pt");
}

/// A miniature of KLUE-MRC: every city has an article with two paragraphs.
fn klue(cities: &[&str], name: &str) -> Value {
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

#[test]
fn squad_is_split_by_article() {
    let scratch = Scratch::new();
    scratch.write("klue.json", klue(&KOREAN, "train").to_string());
    let report =
        json_of(scratch.run("convert squad klue.json --shares 50,20,30 --output out --json"));
    assert_eq!(
        (&report["documents"], &report["queries"]),
        (&json!(40), &json!(40))
    );
    assert_eq!(report["left_out"][0]["count"], 20);
    let document = &objects(&scratch, "out/corpus.jsonl")[0];
    assert_eq!(document["title"], "서울의 이야기");
    assert_eq!(document["text"], "서울에는 오래된 시장이 있다.");
    // Documents are numbered in the order of the file, two of an article after another.
    let mut parts_of_articles = std::collections::BTreeMap::new();
    for part in ["train", "dev", "test"] {
        for [_, document, grade] in qrels(&scratch, part) {
            assert_eq!(grade, "1");
            let number: usize = document.strip_prefix('p').unwrap().parse().unwrap();
            let earlier = parts_of_articles.insert((number - 1) / 2, part);
            assert!(earlier.is_none_or(|earlier| earlier == part), "{document}");
        }
    }
    assert_eq!(parts_of_articles.len(), KOREAN.len());
    assert_usable(&scratch, "ko");

    let first = qrels(&scratch, "test");
    std::fs::remove_dir_all(scratch.path("out")).unwrap();
    scratch
        .run("convert squad klue.json --shares 50,20,30 --output out --keep-unanswerable")
        .done();
    let with_unanswerable = qrels(&scratch, "test");
    assert_eq!(with_unanswerable.len(), first.len() / 2 * 3);
    assert!(first.iter().all(|row| with_unanswerable.contains(row)));
}

#[test]
fn equal_paragraphs_are_one_document_and_no_part_shares_them() {
    let scratch = Scratch::new();
    scratch.write("train.json", klue(&KOREAN[..12], "train").to_string());
    // Two cities are in both files.
    scratch.write("dev.json", klue(&KOREAN[10..], "dev").to_string());
    let report = json_of(
        scratch
            .run("convert squad train.json --shares 90,10,0 --test dev.json --output out --json"),
    );
    assert_eq!(report["documents"], 40);
    let left_out = report["left_out"].as_array().unwrap();
    let shared = left_out
        .iter()
        .find(|it| it["why"].as_str().unwrap().contains("later part"));
    assert_eq!(shared.unwrap()["count"], 4);
    assert_eq!(qrels(&scratch, "test").len(), 20);
    let trained = qrels(&scratch, "train").len();
    let dev = if has_part(&scratch, "dev") {
        qrels(&scratch, "dev").len()
    } else {
        0
    };
    assert_eq!(trained + dev, 20);
    assert_usable(&scratch, "ko");
}

#[test]
fn bad_squad_files_are_named() {
    let scratch = Scratch::new();
    let convert = |content: &str| {
        scratch.write("a.json", content);
        let message = scratch.run("convert squad a.json --output out").failed();
        assert!(!scratch.path("out").exists());
        message
    };
    for (content, expected) in [
        ("", "a.json:1: expected JSON as SQuAD has it"),
        ("{}", "missing field `data`"),
        (
            "{\"data\":\n[{\"paragraphs\":[{\"qas\":[]}]}]}",
            "a.json:2: ",
        ),
        (
            r#"{"data":[{"paragraphs":[{"context":"c","qas":[{"question":"q"}]}]}]}"#,
            "expected `id` or `guid` of the question `q`",
        ),
        (
            r#"{"data":[{"paragraphs":[{"context":"c","qas":[{"question":"q","id":"a\tb"}]}]}]}"#,
            "expected an id without tabs",
        ),
        (
            r#"{"data":[{"paragraphs":[{"context":"c","qas":[]}]}]}"#,
            "1 document and 0 queries, but no judgement",
        ),
    ] {
        let message = convert(content);
        assert!(message.contains(expected), "{content}: {message}");
    }
    let twice = r#"{"data":[{"title":"t","paragraphs":[{"context":"c","qas":[
        {"question":"q","id":"1"},{"question":"r","id":"1"}]}]}]}"#;
    scratch.write("a.json", twice);
    let ran = scratch.run("convert squad a.json --output out");
    assert!(
        ran.stderr.contains("skipped: a.json: duplicate id `1`"),
        "{}",
        ran.stderr
    );
    ran.done();
    let message = scratch
        .run("convert squad a.json --output strict --strict")
        .failed();
    assert!(
        message.contains("error: a.json: duplicate id `1`"),
        "{message}"
    );
    let ran = scratch.run("convert squad a.json --output out --shares 50,50");
    assert_eq!(ran.code, Some(2));
    assert_eq!(scratch.run("convert squad --output out").code, Some(2));
}

#[test]
fn miracl_becomes_a_collection() {
    let scratch = Scratch::new();
    let (mut passages, mut topics, mut qrels_of_dev) =
        ([String::new(), String::new()], String::new(), String::new());
    for (number, city) in KOREAN.iter().enumerate() {
        let passage = json!({
            "docid": format!("{number}#0"), "title": city, "text": format!("{city}은 한국의 도시이다."),
        });
        writeln!(passages[number % 2], "{passage}").unwrap();
        writeln!(topics, "{number}\t{city}은 어느 나라에 있나요?").unwrap();
        writeln!(qrels_of_dev, "{number}\tQ0\t{number}#0\t1").unwrap();
    }
    for (number, text) in passages.iter().enumerate() {
        scratch.write(
            &format!("corpus/docs-{number}.jsonl.gz"),
            gzip(text.as_bytes()),
        );
    }
    scratch.write("corpus/README.md", "MIRACL");
    scratch.write("topics.tsv", topics);
    scratch.write("qrels.tsv", qrels_of_dev);
    scratch
        .run("convert miracl corpus --queries topics.tsv --test qrels.tsv --output out")
        .done();
    let expected = json!({"_id": "0#0", "title": "서울", "text": "서울은 한국의 도시이다."});
    assert_eq!(objects(&scratch, "out/corpus.jsonl")[0], expected);
    assert_eq!(qrels(&scratch, "test").len(), 20);
    assert_usable(&scratch, "ko");
    scratch.write("empty/README.md", "nothing");
    let message = scratch
        .run("convert miracl empty --queries topics.tsv --test qrels.tsv --output other")
        .failed();
    assert!(
        message.contains("empty: expected files of passages"),
        "{message}"
    );
}

/// A BEIR folder with faults: the id 28 twice, an empty document, and judgements of a document and
/// of a query that are not there.
fn beir() -> Scratch {
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

#[test]
fn a_beir_folder_is_copied_without_its_faults() {
    let scratch = beir();
    let ran = scratch.run("convert beir beir --output out");
    for expected in [
        "skipped: beir/corpus.jsonl:31: duplicate id `28`, already used by line 29",
        "skipped beir/qrels/fold-a.tsv, because its name says no part",
    ] {
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    let report = ran.done();
    for expected in [
        "out: 30 documents, 3 queries",
        "dev: 2 queries with 2 judgements",
        "test: 1 query with 1 judgement",
        "left out: 1 document without title and text, the first at beir/corpus.jsonl:32: ",
        "left out: 1 judgement whose document no input has, the first at beir/qrels/validation.tsv:3: ",
        "left out: 1 judgement whose query no input has, the first at beir/qrels/test.tsv:3: ",
        "left out: 3 queries without judgements",
        "left out: 1 record with the id of an earlier one",
    ] {
        assert!(report.contains(expected), "{expected}: {report}");
    }
    let corpus = objects(&scratch, "out/corpus.jsonl");
    assert_eq!(corpus[28]["text"], "Sobre tubarão.");
    assert!(!has_part(&scratch, "train"));
    assert_usable(&scratch, "pt");

    scratch
        .run("convert beir beir --output named --train beir/qrels/fold-a.tsv --keep-empty")
        .done();
    assert_eq!(objects(&scratch, "named/corpus.jsonl").len(), 31);
    assert!(scratch.path("named/qrels/train.tsv").exists());
    assert!(!scratch.path("named/qrels/test.tsv").exists());
}

#[test]
fn strict_conversions_refuse_faults_with_their_place() {
    let scratch = beir();
    let strict = |expected: &str| {
        let message = scratch
            .run("convert beir beir --output out --strict --quiet")
            .failed();
        assert!(message.contains(expected), "{message}");
        assert!(!scratch.path("out").exists());
    };
    let corpus = read(&scratch, "beir/corpus.jsonl");
    strict("error: beir/corpus.jsonl:31: duplicate id `28`");
    let corpus: Vec<&str> = corpus.lines().collect();
    scratch.write(
        "beir/corpus.jsonl",
        [&corpus[..30], &corpus[31..]].concat().join("\n"),
    );
    strict("error: beir/corpus.jsonl:31: expected a title or a text");
    scratch.write("beir/corpus.jsonl", corpus[..30].join("\n"));
    strict(
        "error: beir/qrels/validation.tsv:3: expected the document of a judgement among the documents",
    );
    scratch.write("beir/qrels/validation.tsv", "q0\t0\t1\n");
    strict("error: beir/qrels/test.tsv:3: expected the query of a judgement among the queries");
    scratch.write("beir/qrels/test.tsv", "q2\t2\t1\n");
    scratch
        .run("convert beir beir --output out --strict")
        .done();
}

#[test]
fn bad_inputs_are_refused_with_their_place_and_nothing_is_written() {
    let scratch = ms_marco();
    let good = |name: &str| read(&scratch, name);
    let (collection, queries, judgements) = (
        good("collection.tsv"),
        good("queries.dev.tsv"),
        good("qrels.dev.tsv"),
    );
    let command = "convert ms-marco collection.tsv --queries queries.dev.tsv --test qrels.dev.tsv --output out";
    let refused = |name: &str, content: &[u8], expected: &str| {
        scratch.write(name, content);
        let message = scratch.run(command).failed();
        assert!(message.contains(expected), "{name}: {message}");
        assert!(!scratch.path("out").exists());
        for (name, good) in [
            ("collection.tsv", &collection),
            ("queries.dev.tsv", &queries),
            ("qrels.dev.tsv", &judgements),
        ] {
            scratch.write(name, good);
        }
    };
    refused(
        "collection.tsv",
        b"0\tum\nsem tab\n",
        "collection.tsv:2: expected an id, a tab, and the text",
    );
    refused(
        "collection.tsv",
        b"0\tum\n1\tcaf\xe9\n",
        "collection.tsv:2: not valid UTF-8 at byte 6",
    );
    refused(
        "collection.tsv",
        b"\ttexto\n",
        "collection.tsv:1: the id is empty",
    );
    refused("collection.tsv", b"", "found no document");
    refused(
        "queries.dev.tsv",
        b"1000\n",
        "queries.dev.tsv:1: expected an id, a tab, and the text",
    );
    refused(
        "queries.dev.tsv",
        b"",
        "30 documents and 0 queries, but no judgement",
    );
    refused(
        "qrels.dev.tsv",
        b"1000 0 0 1\n1003 0 3\n",
        "qrels.dev.tsv:2: expected four columns",
    );
    refused(
        "qrels.dev.tsv",
        b"1000 0 0 um\n",
        "qrels.dev.tsv:1: expected an integer as grade",
    );
    refused(
        "qrels.dev.tsv",
        b"",
        "qrels.dev.tsv: expected relevance judgements, found none",
    );
    refused(
        "qrels.dev.tsv",
        b"1000 0 77 1\n",
        "1 judgement whose document no input has",
    );
    let packed = gzip(collection.as_bytes());
    refused(
        "collection.tsv",
        &packed[..packed.len() - 9],
        "the file is truncated",
    );
    for missing in ["collection.tsv", "queries.dev.tsv", "qrels.dev.tsv"] {
        let command = command.replace(missing, "nowhere.tsv");
        let message = scratch.run(&command).failed();
        assert!(message.contains("nowhere.tsv: cannot open"), "{message}");
        assert!(!scratch.path("out").exists());
    }
    let message = scratch
        .run(&command.replace("--test qrels.dev.tsv", ""))
        .failed();
    assert!(message.contains("--train, --dev or --test"), "{message}");
}

#[test]
fn bad_records_can_be_skipped_and_other_encodings_named() {
    let scratch = ms_marco();
    let mut collection = read(&scratch, "collection.tsv").into_bytes();
    collection.extend(b"sem tab\n77\tcaf\xe9\n78\tum\0dois\n");
    scratch.write("collection.tsv", &collection);
    let ran = scratch.run(&format!("{MS_MARCO} --on-bad-input skip"));
    assert!(
        ran.stderr.contains("bad record: collection.tsv:31: "),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("bad record: collection.tsv:32: "),
        "{}",
        ran.stderr
    );
    assert!(
        ran.done()
            .contains("left out: 2 records that cannot be read")
    );
    let corpus = objects(&scratch, "out/corpus.jsonl");
    assert_eq!(
        corpus[30],
        json!({"_id": "78", "title": "", "text": "um\0dois"})
    );
    assert_usable(&scratch, "pt");

    let scratch = ms_marco();
    scratch.write("collection.tsv", b"0\tcaf\xe9\n");
    scratch.write("qrels.dev.tsv", "1000 0 0 1\n");
    scratch.run(&format!("{MS_MARCO} --encoding latin1")).done();
    assert_eq!(objects(&scratch, "out/corpus.jsonl")[0]["text"], "café");
}

#[test]
fn an_output_folder_in_use_is_refused() {
    let scratch = ms_marco();
    scratch.write("out/notes.txt", "mine");
    let message = scratch.run(MS_MARCO).failed();
    assert!(
        message.contains("error: out: expected a new or empty folder"),
        "{message}"
    );
    assert!(message.contains("`notes.txt`"), "{message}");
    assert_eq!(std::fs::read_dir(scratch.path("out")).unwrap().count(), 1);
    let message = scratch
        .run(&MS_MARCO.replace("--output out", "--output collection.tsv"))
        .failed();
    assert!(message.contains("found a file"), "{message}");
    let message = scratch.run("convert beir out --output out").failed();
    assert!(
        message.contains("error: out: expected a file of queries"),
        "{message}"
    );
    std::fs::remove_file(scratch.path("out/notes.txt")).unwrap();
    scratch.run(MS_MARCO).done();
    // The result is not replaced.
    let message = scratch.run(MS_MARCO).failed();
    assert!(
        message.contains("`corpus.jsonl` in it") || message.contains("in it"),
        "{message}"
    );
}

#[test]
fn queries_in_several_files_are_written_once_and_those_in_two_parts_are_said() {
    let scratch = ms_marco();
    let ran = scratch.run(&format!(
        "{MS_MARCO} --dev qrels.dev.tsv --queries queries.dev.tsv"
    ));
    assert!(
        ran.stderr
            .contains("10 queries are judged for both dev and test"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("duplicate"), "{}", ran.stderr);
    ran.done();
    assert_eq!(objects(&scratch, "out/queries.jsonl").len(), 10);
    std::fs::remove_dir_all(scratch.path("out")).unwrap();
    scratch.write("other.tsv", "1000\toutra pergunta\n");
    let ran = scratch.run(&format!("{MS_MARCO} --queries other.tsv"));
    let expected = "skipped: other.tsv:1: duplicate id `1000`, already used by queries.dev.tsv:1";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    ran.done();
}

#[test]
fn changed_bytes_of_tsv_files_never_panic() {
    let scratch = ms_marco();
    let good = read(&scratch, "collection.tsv").into_bytes();
    let mut state = 1u64;
    for _ in 0..20 {
        let mut bytes = good.clone();
        for _ in 0..6 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let place = (state >> 33) as usize % bytes.len();
            bytes[place] = (state >> 20) as u8;
        }
        scratch.write("collection.tsv", &bytes);
        let ran = scratch.run(MS_MARCO);
        assert!(matches!(ran.code, Some(0 | 1)), "{}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        let _ = std::fs::remove_dir_all(scratch.path("out"));
    }
}
