use super::*;

fn refusal(export: &Export<'_>, output: &Path) -> String {
    export.write(output).expect_err("refused").to_string()
}

#[test]
fn an_output_that_holds_something_else_is_refused() {
    let base = model("splade-max");
    let place = tempfile::tempdir().unwrap();
    let work = place.path().join("work");
    fs::create_dir(&work).unwrap();
    fs::write(work.join("thesis.txt"), "years").unwrap();
    let error = refusal(&export(&base, SPLADE, &[]), &work);
    assert!(error.contains("thesis.txt"), "{error}");
    fs::create_dir(work.join("checkpoints")).unwrap();
    fs::write(work.join("config.json"), "{}").unwrap();
    let error = refusal(&export(&base, SPLADE, &[]), &work);
    assert!(error.contains("checkpoints"), "{error}");
    let error = refusal(&export(&base, SPLADE, &[]), &work.join("thesis.txt"));
    assert!(error.contains("a file"), "{error}");
    assert_eq!(fs::read(work.join("thesis.txt")).unwrap(), b"years");
}

#[test]
fn values_that_do_not_fit_are_refused_before_anything_is_written() {
    let base = model("splade-max");
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("model");
    let name = "cls.predictions.bias";
    for (name, values, named) in [
        (name, vec![f32::NAN; 400], "finite"),
        ("embeddings.LayerNorm.bias", vec![0.0; 25], "25"),
        (
            "encoder.layer.7.output.dense.bias",
            vec![0.0; 24],
            "layer.7",
        ),
        ("vocab_projector.weight", vec![0.0; 5], "vocab_projector"),
    ] {
        let tensors = [ExportedTensor {
            name: name.into(),
            values: values.into(),
        }];
        let error = refusal(&export(&base, SPLADE, &tensors), &output);
        assert!(error.contains(named), "{error}");
    }
    let tensor = ExportedTensor {
        name: name.into(),
        values: vec![0.0; 400].into(),
    };
    let twice = [tensor.clone(), tensor];
    assert!(refusal(&export(&base, SPLADE, &twice), &output).contains("twice"));
    for max_tokens in [2, 65] {
        let export = Export {
            max_tokens: Some(max_tokens),
            ..export(&base, SPLADE, &[])
        };
        assert!(refusal(&export, &output).contains("max tokens"));
    }
    let free = ExportKind::InferenceFree {
        pooling: SpladePooling::Max,
        activation: SpladeActivation::Log1pRelu,
    };
    let error = refusal(&export(&base, free.clone(), &[]), &output);
    assert!(error.contains("table"), "{error}");
    let table = vec![1.0; 401];
    let export = Export {
        query_table: Some(&table),
        ..export(&base, free, &[])
    };
    assert!(refusal(&export, &output).contains("401"));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}
