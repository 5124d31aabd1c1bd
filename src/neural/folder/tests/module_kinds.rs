use super::*;

#[test]
fn pooling_is_read_in_both_forms() {
    let poolings = |settings: Value| {
        let folder = with(
            bert("BertModel", ""),
            &[
                ("modules.json", modules(&[TRANSFORMER, POOLING])),
                ("1_Pooling/config.json", settings),
            ],
        );
        ModelFolder::open(folder.path()).map(|model| match &model.modules[..] {
            [
                Module::Pooling {
                    poolings,
                    has_prompt,
                },
            ] => (poolings.clone(), *has_prompt),
            other => panic!("{other:?}"),
        })
    };
    let old = json!({"word_embedding_dimension": 4, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false});
    assert_eq!(poolings(old).unwrap(), (vec![Pooling::First], true));
    let both = json!({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true});
    assert_eq!(poolings(both).unwrap().0, [Pooling::First, Pooling::Mean]);
    assert_eq!(poolings(json!({})).unwrap().0, [Pooling::Mean]);
    let new =
        json!({"embedding_dimension": 4, "pooling_mode": "weightedmean", "include_prompt": false});
    assert_eq!(poolings(new).unwrap(), (vec![Pooling::WeightedMean], false));
    assert_eq!(
        poolings(json!({"pooling_mode": ["lasttoken", "max"]}))
            .unwrap()
            .0,
        [Pooling::Last, Pooling::Max]
    );
    for wrong in [
        json!({"pooling_mode": "median"}),
        json!({"pooling_mode": []}),
        json!({"embedding_dimension": 5}),
        json!([]),
    ] {
        assert!(poolings(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn dense_and_normalize_follow_pooling() {
    let model = open(&dense_folder(json!({
        "in_features": 4, "out_features": 3, "bias": false, "activation_function": "torch.nn.modules.linear.Identity"
    })));
    let [
        _,
        Module::Dense(dense),
        Module::Normalize {
            is_of_tokens: false,
        },
    ] = &model.modules[..]
    else {
        panic!("{:?}", model.modules);
    };
    assert_eq!(
        (
            dense.inputs,
            dense.outputs,
            dense.has_bias,
            dense.is_of_tokens
        ),
        (4, 3, false, false)
    );
    assert_eq!(dense.activation, crate::backend::Activation::Identity);
    assert_eq!(
        dense.weights.tensor("linear.weight", &[3, 4]).unwrap(),
        [0.0; 12]
    );
}

#[test]
fn a_dense_module_that_does_not_fit_is_refused() {
    for (settings, named) in [
        (json!({"in_features": 5, "out_features": 3}), "in_features"),
        (json!({"in_features": 4}), "out_features"),
        (json!({"in_features": 4, "out_features": 0}), "out_features"),
        (
            json!({"in_features": 4, "out_features": 3, "activation_function": "my.Own"}),
            "my.Own",
        ),
        (
            json!({"in_features": 4, "out_features": 3, "module_output_name": "scores"}),
            "scores",
        ),
        (
            json!({"in_features": 4, "out_features": 3, "module_input_name": "token_embeddings"}),
            "Dense",
        ),
    ] {
        let message = refused(&dense_folder(settings));
        assert!(message.contains(named), "{message}");
    }
}

#[test]
fn unknown_modules_are_refused_by_name() {
    for kind in ["CNN", "LSTM", "WeightedLayerPooling", "SparseAutoEncoder"] {
        let full = format!("sentence_transformers.models.{kind}");
        let list = modules(&[TRANSFORMER, ("1", &full)]);
        let message = refused(&with(bert("BertModel", ""), &[("modules.json", list)]));
        assert!(message.contains(&format!("found {kind}")), "{message}");
    }
    let list = modules(&[("", "sentence_transformers.models.BoW")]);
    assert!(refused(&with(bert("BertModel", ""), &[("modules.json", list)])).contains("BoW"));
}

#[test]
fn splade_is_read_from_old_and_new_versions() {
    let settings = json!({"pooling_strategy": "sum", "activation_function": "log1p_relu", "word_embedding_dimension": 10});
    let pooling = (
        "1_SpladePooling",
        "sentence_transformers.sparse_encoder.models.SpladePooling",
    );
    for (transformer, task) in [
        (
            "sentence_transformers.sparse_encoder.models.MLMTransformer",
            json!({}),
        ),
        (
            "sentence_transformers.base.modules.transformer.Transformer",
            json!({"transformer_task": "fill-mask"}),
        ),
    ] {
        let files = [
            ("modules.json", modules(&[("", transformer), pooling])),
            ("sentence_bert_config.json", task),
            ("1_SpladePooling/config.json", settings.clone()),
        ];
        let model = open(&with(bert("BertForMaskedLM", ""), &files));
        assert_eq!(model.kind, ModelKind::SparseEncoder);
        let [
            Module::SpladePooling {
                pooling,
                activation,
            },
        ] = model.modules[..]
        else {
            panic!("{:?}", model.modules);
        };
        assert_eq!(
            (pooling, activation),
            (SpladePooling::Sum, SpladeActivation::Log1pLog1pRelu)
        );
    }
    let files = [
        ("modules.json", modules(&[TRANSFORMER, pooling])),
        ("1_SpladePooling/config.json", settings),
    ];
    assert!(refused(&with(bert("BertForMaskedLM", ""), &files)).contains("task is Features"));
}

#[test]
fn a_cross_encoder_says_how_scores_are_activated() {
    let activation = |keys: Value, about: Option<Value>| {
        let mut files = bert("BertForSequenceClassification", "");
        for (key, value) in keys.as_object().unwrap() {
            files[0].1[key] = value.clone();
        }
        let about = about.map(|about| ("config_sentence_transformers.json", about));
        let folder = with(files, about.as_slice());
        ModelFolder::open(folder.path()).map(|model| match model.modules[..] {
            [
                Module::Classifier {
                    labels, activation, ..
                },
            ] => (labels, activation),
            _ => panic!("{:?}", model.modules),
        })
    };
    let one = json!({"id2label": {"0": "LABEL_0"}});
    assert_eq!(
        activation(one.clone(), None).unwrap(),
        (1, ScoreActivation::Sigmoid)
    );
    assert_eq!(
        activation(json!({}), None).unwrap(),
        (2, ScoreActivation::Identity)
    );
    let old = json!({"num_labels": 1, "sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"});
    assert_eq!(
        activation(old, None).unwrap(),
        (1, ScoreActivation::Identity)
    );
    let nested = json!({"num_labels": 1, "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}});
    assert_eq!(
        activation(nested, None).unwrap().1,
        ScoreActivation::Identity
    );
    let about =
        json!({"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.linear.Identity"});
    assert_eq!(
        activation(one.clone(), Some(about)).unwrap().1,
        ScoreActivation::Identity
    );
    for (class, expected) in [
        ("torch.nn.modules.activation.Tanh", ScoreActivation::Tanh),
        (
            "torch.nn.modules.activation.Softmax",
            ScoreActivation::Softmax,
        ),
    ] {
        let old = json!({"num_labels": 1, "default_activation_function": class});
        assert_eq!(activation(old, None).unwrap(), (1, expected));
        let about = json!({"activation_fn": class});
        assert_eq!(activation(one.clone(), Some(about)).unwrap().1, expected);
    }
    assert!(activation(one, Some(json!({"activation_fn": "torch.nn.ReLU"}))).is_err());
}

#[test]
fn the_label_that_means_relevance_is_scored_or_else_the_last() {
    let scored = |names: Value| {
        let mut files = bert("BertForSequenceClassification", "");
        files[0].1["id2label"] = names;
        let model = open(&folder(files));
        match model.modules[..] {
            [Module::Classifier { scored, .. }] => scored,
            _ => panic!("{:?}", model.modules),
        }
    };
    let inference = json!({"0": "contradiction", "1": "Entailment", "2": "neutral"});
    assert_eq!(scored(inference), 1);
    assert_eq!(scored(json!({"0": "LABEL_0", "1": "LABEL_1"})), 1);
    assert_eq!(scored(json!({"0": "yes", "1": "true", "2": "no"})), 2);
}

#[test]
fn files_that_begin_with_a_byte_order_mark_are_read() {
    let mut files = bert("BertModel", "");
    for (name, content) in &mut files[..2] {
        let text = content
            .as_str()
            .map_or_else(|| content.to_string(), str::to_owned);
        assert!(name.ends_with("json") || name.ends_with("txt"));
        *content = json!(format!("\u{feff}{text}"));
    }
    let model = open(&folder(files));
    assert_eq!(model.tokenizer.encode("a").unwrap().ids, [2, 5, 3]);
    assert_eq!(model.tokenizer.token(0).unwrap(), "[PAD]");
}
