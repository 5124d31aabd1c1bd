//! A shop: products are found by words, filtered, counted and sorted by columns.
//!
//! ```text
//! cargo run --release --example shop
//! ```

use esparsa::{
    Column, Document, Facet, FacetResult, Hits, Index, Query, Result, Schema, SearchOptions, Sort,
    Text,
};

/// Id, name, price, colors, and the day since when it is sold.
const PRODUCTS: [(&str, &str, f64, &[&str], &str); 6] = [
    (
        "cup",
        "A small tea cup of porcelain",
        4.5,
        &["white", "blue"],
        "2024-02-01",
    ),
    (
        "pot",
        "A tea pot of porcelain",
        24.0,
        &["white"],
        "2023-11-30",
    ),
    (
        "kettle",
        "A kettle for tea and coffee",
        39.9,
        &["red", "black"],
        "2024-05-12",
    ),
    ("mug", "A mug for coffee", 7.0, &["red"], "2022-01-10"),
    (
        "tray",
        "A tray for cups and pots",
        12.0,
        &["black"],
        "2024-03-03",
    ),
    (
        "towel",
        "A tea towel of linen",
        6.0,
        &["red", "white"],
        "2023-06-21",
    ),
];

fn main() -> Result<()> {
    // Columns hold what is not searched by words. A product may have several colors.
    let schema = Schema::builder()
        .text("name", Text::new().analyzer("english"))
        .column("price", Column::f64())
        .column("color", Column::keyword().several())
        .column("since", Column::date())
        .stored("source")
        .build()?;
    let index = Index::in_memory(schema)?;
    let mut writer = index.writer()?;
    for (id, name, price, colors, since) in PRODUCTS {
        let product = Document::new(id)
            .with_text("name", name)
            .with("price", price);
        let product = product.with("since", since);
        writer.add(
            colors
                .iter()
                .fold(product, |product, color| product.with("color", *color)),
        )?;
    }
    writer.commit()?;
    let snapshot = index.snapshot()?;

    // Words are ranked; filters only say which products may be found.
    let tea = Query::text("name", "tea");
    let affordable = tea.clone().with_filter(Query::range("price", ..25.0));
    show("tea below 25.00", &snapshot.search(&affordable, 10)?)?;
    let not_white = affordable.clone().without(Query::term("color", "white"));
    assert_eq!(snapshot.count(&not_white)?, 0);

    // What is beside the results: how many there are of each color and price.
    let facets = [
        Facet::values("color", 3),
        Facet::ranges("price", [0.0..10.0, 10.0..30.0, 30.0..1_000.0]),
        Facet::statistics("price"),
    ];
    for facet in snapshot.facets(&tea, &facets)? {
        match facet {
            FacetResult::Values(colors) => {
                for (color, count) in colors {
                    println!("  {color}: {count}");
                }
            }
            FacetResult::Ranges(counts) => println!("  below 10, 30, 1000: {counts:?}"),
            FacetResult::Statistics(price) => {
                println!("  mean price: {:.2}", price.mean.unwrap_or(0.0))
            }
            other => println!("  {other:?}"),
        }
    }

    // The newest products, two on a page.
    let newest = SearchOptions::new(2).sort(Sort::descending("since"));
    let first = snapshot.search_with(&Query::all(), &newest)?.hits;
    show("newest", &first)?;
    let second = snapshot.search_with(&Query::all(), &newest.offset(2))?.hits;
    show("newest, second page", &second)?;
    assert_eq!(first.ids()?, ["kettle", "tray"]);

    // A query from a web page may come as JSON.
    let json = r#"{"text": {"name": "coffee"}, "filter": {"term": {"color": "red"}}}"#;
    let coffee = snapshot.search(&Query::from_json(json)?, 10)?;
    show("red things for coffee", &coffee)?;
    assert_eq!(coffee.len(), 2);
    Ok(())
}

fn show(title: &str, hits: &Hits) -> Result<()> {
    println!("{title}:");
    for hit in hits {
        let prices = hit.values("price")?;
        let price = prices.first().map(ToString::to_string).unwrap_or_default();
        println!("  {:8} {price:>5}", hit.id()?);
    }
    Ok(())
}
