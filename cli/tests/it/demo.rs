//! `esparsa demo`.

use std::fs;

use crate::search_fixture::{ids, json, run_in};

#[test]
fn the_demo_searches_three_languages_and_measures_them() {
    let folder = tempfile::tempdir().unwrap();
    let output = run_in(folder.path(), &["demo"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let text = String::from_utf8(output.stdout).unwrap();
    for language in ["English", "Portuguese", "Korean"] {
        assert!(text.lines().any(|line| line == language), "{text}");
    }
    let row = |name: &str| -> Vec<f64> {
        let line = text
            .lines()
            .find(|line| line.starts_with(name) && line.contains('.'));
        let cells = line.unwrap().split_whitespace().skip(1);
        cells.map(|cell| cell.parse().unwrap()).collect()
    };
    let languages = ["English ", "Portuguese ", "Korean "].map(row);
    let all = row("all ");
    assert_eq!(all[..2], [120.0, 60.0]);
    for (column, mean) in all.iter().enumerate().skip(2) {
        // As many queries in each language: the mean of all is the mean of the three.
        let expected = languages.iter().map(|values| values[column]).sum::<f64>() / 3.0;
        assert!((mean - expected).abs() < 2e-4, "{text}");
        assert!(
            languages.iter().all(|values| values[column] > 0.5),
            "{text}"
        );
    }
    assert!(text.contains("[조선"), "{text}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn indexes_of_the_demo_can_be_kept_and_searched() {
    let folder = tempfile::tempdir().unwrap();
    let output = run_in(folder.path(), &["demo", "--keep", "kept"]);
    assert_eq!(output.status.code(), Some(0));
    let output = run_in(
        folder.path(),
        &["search", "--index", "kept/ko", "세종대왕", "--json"],
    );
    let report = json(&String::from_utf8(output.stdout).unwrap());
    assert!(ids(&report).contains(&"ko-07"), "{report}");
    let again = run_in(folder.path(), &["demo", "--keep", "kept"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("already holds an index"));
}
