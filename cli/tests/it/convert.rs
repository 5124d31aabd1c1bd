//! `esparsa convert`: a miniature of each published format becomes a collection that the other
//! subcommands read.

use std::fmt::Write;

use serde_json::json;

use crate::command::Scratch;
use crate::published::{
    KOREAN, MS_MARCO, PORTUGUESE, ROBUST, assert_usable, beir, gzip, has_part, json_of, klue,
    ms_marco, objects, qrels, read, robust,
};

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
