use proptest::prelude::*;

use super::*;

fn mean(name: &str, role: Role, mean: f64, interval: (f64, f64)) -> Mean {
    Mean {
        name: name.to_owned(),
        role,
        mean,
        interval,
    }
}

#[track_caller]
fn check(svg: &str) {
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(svg.contains("role=\"img\"><title>"));
    for wrong in ["NaN", "inf", "<script"] {
        assert!(!svg.contains(wrong), "{wrong} is in {svg}");
    }
}

#[test]
fn the_same_means_and_a_single_system_have_a_plot() {
    for rows in [
        Vec::new(),
        vec![mean("one", Role::Baseline, 0.0, (0.0, 0.0))],
        vec![mean("one", Role::Baseline, 0.5, (0.5, 0.5)); 3],
        vec![
            mean("one", Role::Baseline, 0.5, (0.4, 0.6)),
            mean("two", Role::System, f64::NAN, (f64::NAN, f64::NAN)),
        ],
    ] {
        check(&means("Means", "ndcg@10", &rows));
        let systems: Vec<(Mean, Option<f64>)> =
            rows.iter().map(|row| (row.clone(), Some(2.0))).collect();
        check(&trade_off("Cost", ("ms", "ndcg@10"), &systems));
    }
}

#[test]
fn systems_without_a_known_cost_are_left_out() {
    let row = |name| mean(name, Role::System, 0.5, (0.4, 0.6));
    let costs = [
        ("one", Some(10.0)),
        ("two", None),
        ("three", Some(0.0)),
        ("four", Some(f64::NAN)),
    ];
    let systems = costs.map(|(name, cost)| (row(name), cost));
    let svg = trade_off("Cost", ("ms", "ndcg@10"), &systems);
    check(&svg);
    assert_eq!(svg.matches("<circle").count(), 1);
    assert!(svg.contains(">one</text>") && !svg.contains("four"));
}

#[test]
fn labels_of_systems_at_one_place_do_not_overlap() {
    let row = |number: usize| mean(&format!("system-{number}"), Role::System, 0.5, (0.5, 0.5));
    let systems: Vec<_> = (0..30).map(|number| (row(number), Some(10.0))).collect();
    let svg = trade_off("Cost", ("ms", "ndcg@10"), &systems);
    check(&svg);
    assert_eq!(svg.matches("<circle").count(), 30);
    let labels = svg.matches("class=\"name\"").count();
    assert!((2..=10).contains(&labels), "{labels}");
}

#[test]
fn differences_of_no_query_of_ties_and_of_many_queries_have_a_plot() {
    let many: Vec<f64> = (0..5_000).map(|n| 1.0 - f64::from(n) / 2_500.0).collect();
    for sorted in [
        &[][..],
        &[0.0; 4],
        &[0.5],
        &[-0.5],
        &[0.3, 0.0, -0.9],
        &many,
    ] {
        let svg = differences("Differences", sorted);
        check(&svg);
        assert!(svg.len() < 10_000, "{}", svg.len());
    }
    let svg = differences("Differences", &[0.3, 0.0, -0.9]);
    assert_eq!(svg.matches("<path").count(), 2);
    assert!(svg.contains("−0.900"));
}

#[test]
fn hostile_names_are_escaped() {
    let rows = [mean("<script>\"&", Role::System, 0.5, (0.4, 0.6))];
    check(&means("a <script>", "ndcg@10", &rows));
}

proptest! {
    #[test]
    fn curves_of_any_values_have_a_plot(
        values in proptest::collection::vec(
            prop_oneof![0.0..1.0, Just(0.0), Just(f64::NAN), Just(f64::INFINITY), -1e3..1e6],
            0..50,
        ),
        is_marked: bool,
    ) {
        let points: Vec<(f64, f64)> = values.iter().enumerate().map(|(n, v)| (n as f64, *v)).collect();
        let best = points.first().copied();
        let series = [Series { name: "loss", points, is_marked }];
        check(&curves("Loss", "loss", &series, best));
    }
}
