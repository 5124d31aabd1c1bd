//! Completions and corrections from the command line.

use crate::command::Scratch;
use crate::two_documents::json;

const BOOKS: &str = r#"{"_id":"1","text":"Volcanoes of Sicily","name":"Volcanoes","sold":3,"tag":"red"}
{"_id":"2","text":"The volcano Etna","name":"Étna","sold":9,"tag":"red"}
{"_id":"3","text":"A volcano","name":"Below_Etna","sold":20,"tag":"blue"}
{"_id":"4","text":"Lakes","name":"Etna"}
"#;

fn indexed() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("books.jsonl", BOOKS);
    let columns = "--column name:keyword --column sold:i64 --column tag:keyword";
    scratch
        .run(&format!(
            "index books.jsonl --index books {columns} --language simple"
        ))
        .done();
    scratch
}

#[test]
fn a_prefix_is_completed_to_terms() {
    let scratch = indexed();
    let out = scratch.run("suggest --index books --field text VOL").done();
    assert_eq!(out, "         2  volcano\n         1  volcanoes\n");
    let out = scratch
        .run("suggest --index books --field text vulc --typos 1 --k 1 --json")
        .done();
    let found = json(&out);
    assert_eq!(found["text"], "volcano");
    assert_eq!(
        (&found["documents"], &found["edits"]),
        (&2.into(), &1.into())
    );
    let out = scratch.run("suggest --index books --field tag b").done();
    assert_eq!(out, "         1  blue\n");
}

#[test]
fn a_prefix_is_completed_to_titles() {
    let scratch = indexed();
    let suggest = "suggest --index books --field name --titles";
    let out = scratch.run(&format!("{suggest} et --weight sold")).done();
    assert_eq!(out, "         9  Étna\n         -  Etna\n");
    let out = scratch
        .run(&format!(
            r#"{suggest} e --filter {{"exists":"sold"}} --json"#
        ))
        .done();
    let found = json(&out);
    assert_eq!(
        (&found["text"], &found["documents"]),
        (&"Étna".into(), &1.into())
    );
    let out = scratch
        .run(&format!("{suggest} BEL --weight sold --any-word --json"))
        .done();
    assert_eq!(json(&out)["weight"], 20);
}

#[test]
fn a_misspelled_text_is_corrected() {
    let scratch = indexed();
    let correct = "suggest --index books --field text --correct";
    assert_eq!(
        scratch.run(&format!("{correct} Vulcano!")).done(),
        "volcano!\n"
    );
    assert_eq!(scratch.run(&format!("{correct} Etna")).done(), "Etna\n");
    let report = json(&scratch.run(&format!("{correct} =sicly --json")).done());
    assert_eq!(report["text"], "=sicily");
    let word = &report["words"][0];
    assert_eq!(word["original"], serde_json::json!([1, 6]));
    assert_eq!(word["corrected"], serde_json::json!([1, 7]));
    assert_eq!(word["suggestions"][0]["text"], "sicily");
    let report = json(&scratch.run(&format!("{correct} etna --json")).done());
    assert_eq!(report, serde_json::json!({ "text": "etna", "words": [] }));
}

#[test]
fn what_cannot_be_suggested_is_refused() {
    let scratch = indexed();
    let message = scratch.run("suggest --index books --field txt v").failed();
    assert!(message.contains("txt"), "{message}");
    for arguments in [
        "suggest --index books --field text",
        "suggest --index books v",
        "suggest --index books --field text v --k 0",
        "suggest --index books --field text v --typos 3",
        "suggest --index books --field text v --weight sold",
        "suggest --index books --field text v --correct --typos 1",
    ] {
        assert_eq!(scratch.run(arguments).code, Some(2), "{arguments}");
    }
    scratch.write("en.tsv", "1\tVolcanoes\n");
    scratch.run("index en.tsv --index en --language en").done();
    let message = scratch
        .run("suggest --index en --field text --correct vulcano")
        .failed();
    assert!(message.contains("stems"), "{message}");
}
