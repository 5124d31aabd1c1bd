//! Tests of listing files.

use super::super::tests;
use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (*name, text.as_bytes()))
        .collect();
    tests::folder(&files)
}

fn list_paths(paths: &[PathBuf], format: InputFormat) -> Result<Listing> {
    list(paths, format, InputEncoding::default())
}

fn names(listing: &Listing) -> Vec<String> {
    let name = |file: &InputFile| file.name.to_string_lossy().into_owned();
    listing.files.iter().map(name).collect()
}

fn list_folder(files: &[(&str, &str)], format: InputFormat) -> Result<Listing> {
    list_paths(&[folder(files).path().to_path_buf()], format)
}

#[test]
fn of_a_beir_folder_only_the_corpus_is_read() {
    let files = [
        ("corpus.jsonl", ""),
        ("queries.jsonl", ""),
        ("qrels/test.tsv", ""),
    ];
    let listing = list_folder(&files, InputFormat::Auto).unwrap();
    assert_eq!(names(&listing), ["corpus.jsonl"]);
    let listing = list_folder(&[("corpus.jsonl.zst", "")], InputFormat::Beir).unwrap();
    assert_eq!(names(&listing), ["corpus.jsonl.zst"]);
}

#[test]
fn queries_beside_a_folder_of_documents_are_not_read() {
    let files = [
        ("c/corpus/1.jsonl", ""),
        ("c/corpus/2.jsonl", ""),
        ("c/queries.jsonl", ""),
        ("c/qrels/test.tsv", ""),
        ("d/collection.tsv", ""),
        ("d/qrels.dev.tsv", ""),
        ("d/queries.dev.tsv", ""),
    ];
    let listing = list_folder(&files, InputFormat::Auto).unwrap();
    let corpus = ["c/corpus/1.jsonl", "c/corpus/2.jsonl"];
    assert_eq!(
        names(&listing),
        [&corpus[..], &["d/collection.tsv"]].concat()
    );
    assert_eq!(listing.queries.len(), 2);
    assert!(listing.queries[1].ends_with("queries.dev.tsv"));
}

#[test]
fn beir_folders_are_found_inside_a_folder() {
    let files = [
        ("b/corpus.jsonl", ""),
        ("b/queries.jsonl", ""),
        ("a.tsv", ""),
    ];
    let listing = list_folder(&files, InputFormat::Auto).unwrap();
    assert_eq!(names(&listing), ["a.tsv", "b/corpus.jsonl"]);
}

#[test]
fn folders_are_listed_in_order_without_hidden_files() {
    let files = [
        ("z.md", ""),
        ("a/2.txt", ""),
        ("a/1.txt", ""),
        (".git/x.txt", ""),
        (".hidden.txt", ""),
    ];
    let listing = list_folder(&files, InputFormat::Auto).unwrap();
    assert_eq!(names(&listing), ["a/1.txt", "a/2.txt", "z.md"]);
}

#[test]
fn files_of_a_folder_are_detected_by_content_or_skipped() {
    let files = [("FT911", "<DOC>\n"), ("rows", "a\tb\n"), ("x.png", "\u{1}")];
    let listing = list_folder(&files, InputFormat::Auto).unwrap();
    assert_eq!(listing.files[0].choice, Choice::Known(Layout::Trec));
    assert_eq!(listing.files[1].choice, Choice::Known(Layout::Tsv));
    assert_eq!(names(&listing).len(), 2);
    assert!(listing.skipped[0].ends_with("x.png"));
}

#[test]
fn a_packed_file_is_refused_by_name_and_skipped_in_a_folder() {
    let folder = folder(&[("a.txt", "x"), ("b.zip", "PK\u{3}\u{4}rest")]);
    let listing = list_paths(&[folder.path().to_path_buf()], InputFormat::Auto).unwrap();
    assert_eq!(names(&listing), ["a.txt"]);
    assert!(listing.skipped[0].ends_with("b.zip"));
    let error = list_paths(&[folder.path().join("b.zip")], InputFormat::Auto).unwrap_err();
    assert!(error.to_string().contains("compressed by zip"), "{error}");
}

#[test]
fn a_named_format_takes_every_file() {
    let files = [("main.rs", "fn main() {}"), ("x.jsonl", "")];
    let listing = list_folder(&files, InputFormat::Text).unwrap();
    assert_eq!(names(&listing), ["main.rs", "x.jsonl"]);
    let known = Choice::Known(Layout::Text);
    assert!(listing.files.iter().all(|file| file.choice == known));
}

#[test]
fn a_folder_with_nothing_to_read_is_an_error() {
    for format in [InputFormat::Auto, InputFormat::Beir, InputFormat::Tsv] {
        let message = list_folder(&[], format).unwrap_err().to_string();
        assert!(message.contains("expected") || message.contains("no files"));
    }
    let error = list_folder(&[("x.png", "\u{1}")], InputFormat::Auto).unwrap_err();
    assert!(error.to_string().contains("--format"), "{error}");
    let error = list_folder(&[("x.jsonl", "")], InputFormat::Beir).unwrap_err();
    assert!(error.to_string().contains("not a BEIR folder"), "{error}");
}

#[test]
fn a_path_that_does_not_exist_is_an_io_error() {
    let error = list_paths(&[PathBuf::from("no/such/file")], InputFormat::Auto).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert!(error.to_string().starts_with("no/such/file: cannot open"));
}

#[test]
fn an_unknown_extension_says_how_to_name_the_format() {
    let folder = folder(&[("data.bin", "no tabs here"), ("data.dat", "{\"id\":1}")]);
    let path = folder.path().join("data.bin");
    let error = list_paths(std::slice::from_ref(&path), InputFormat::Auto).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("data.bin: "), "{message}");
    assert!(message.contains("--format (beir, jsonl"), "{message}");
    assert!(list_paths(&[path], InputFormat::Text).is_ok());
    let listing = list_paths(&[folder.path().join("data.dat")], InputFormat::Auto).unwrap();
    assert_eq!(listing.files[0].choice, Choice::Known(Layout::JsonLines));
}

#[test]
fn standard_input_is_json_lines_unless_named_and_read_once() {
    let dash = PathBuf::from("-");
    let listing = list_paths(std::slice::from_ref(&dash), InputFormat::Auto).unwrap();
    assert_eq!(listing.files[0].choice, Choice::Known(Layout::JsonLines));
    let listing = list_paths(std::slice::from_ref(&dash), InputFormat::Trec).unwrap();
    assert_eq!(listing.files[0].choice, Choice::Known(Layout::Trec));
    assert!(list_paths(&[dash.clone(), dash], InputFormat::Auto).is_err());
    assert!(list_paths(&[], InputFormat::Auto).is_err());
}

#[cfg(unix)]
#[test]
fn links_to_folders_are_not_followed_and_links_to_files_are() {
    let folder = folder(&[("a.txt", "")]);
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
    std::os::unix::fs::symlink("a.txt", folder.path().join("b.txt")).unwrap();
    let listing = list_paths(&[folder.path().to_path_buf()], InputFormat::Auto).unwrap();
    assert_eq!(names(&listing), ["a.txt", "b.txt"]);
}
