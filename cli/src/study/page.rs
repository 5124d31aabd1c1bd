//! The report as a page: one HTML file that needs nothing else, without scripts.
//!
//! | file | concept |
//! | --- | --- |
//! | `html` | HTML from texts that nobody has checked |
//! | `axis` | where values lie, and ticks |
//! | `svg` | elements of a drawing |
//! | `plot` | the plots |
//! | `effect` | effectiveness and cost on a collection |
//! | `cases` | queries won and lost, with their documents |
//! | `words` | the words of queries' sparse vectors |
//! | `curves` | the training of models |

mod axis;
mod cases;
mod curves;
mod effect;
mod html;
mod plot;
mod svg;
mod words;

use esparsa::Result;

use self::html::{push, table, text};
use super::choose::HEADS;
use super::config::Config;
use super::cost::Cost;
use super::folder::Folder;
use super::notes;
use super::plan::Plan;
use super::results::Results;
use super::wins;
use crate::size::counted;

const STYLE: &str = include_str!("page/style.css");

/// All that a page is made of.
pub(super) struct Study<'a> {
    pub config: &'a Config,
    pub plan: &'a Plan,
    pub folder: &'a Folder,
    pub results: &'a Results,
    /// Of each system on each collection.
    pub costs: &'a [Vec<Cost>],
}

impl Study<'_> {
    fn name(&self, system: usize) -> &str {
        self.config.study.systems.get_ref()[system].name.get_ref()
    }

    fn collection(&self, place: usize) -> &str {
        self.config.study.collections.get_ref()[place]
            .name
            .get_ref()
    }

    fn baseline(&self) -> &str {
        self.name(self.results.baseline)
    }

    /// The name of the first metric.
    fn metric(&self) -> String {
        let first = self.results.metrics.first();
        first.map(ToString::to_string).unwrap_or_default()
    }
}

/// The page of a study whose steps are done.
///
/// # Errors
///
/// What reading the folder and the collections gives.
pub(super) fn page(study: &Study<'_>) -> Result<String> {
    let collections = study.results.collections.len();
    let title = text(study.config.study.title.as_deref().unwrap_or("Study"));
    let training = curves::section(study)?;
    let choices = choices(study)?;
    let mut html = String::with_capacity(1 << 18);
    push(
        &mut html,
        format_args!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n"
        ),
    );
    header(&mut html, study, !choices.is_empty(), !training.is_empty());
    html.push_str("</header>\n<main>\n");
    for place in 0..collections {
        collection(&mut html, study, place)?;
    }
    html.push_str(&choices);
    html.push_str(&training);
    method(&mut html, study);
    html.push_str("</main>\n</body>\n</html>\n");
    Ok(html)
}

/// What is compared, the answers, and links.
fn header(html: &mut String, study: &Study<'_>, has_choices: bool, has_training: bool) {
    let results = study.results;
    let systems = study.config.study.systems.get_ref().len() as u64;
    push(
        html,
        format_args!(
            "<p class=\"soft\">{} on {}, with {} as the baseline.</p>\n",
            counted(systems, "system"),
            counted(results.collections.len() as u64, "collection"),
            study.baseline()
        ),
    );
    answers(html, study);
    html.push_str("<nav aria-label=\"Sections\"><ul>\n");
    for place in 0..results.collections.len() {
        push(
            html,
            format_args!(
                "<li><a href=\"#collection-{place}\">{}</a></li>\n",
                study.collection(place)
            ),
        );
    }
    let others = [
        (has_choices, "parameters", "Parameters"),
        (has_training, "training", "Training"),
        (true, "method", "How to read this"),
    ];
    for (_, id, name) in others.iter().filter(|(is_there, _, _)| *is_there) {
        push(
            html,
            format_args!("<li><a href=\"#{id}\">{name}</a></li>\n"),
        );
    }
    html.push_str("</ul></nav>\n");
}

fn answers(html: &mut String, study: &Study<'_>) {
    let collections = &study.results.collections;
    // The answer of a single collection follows at once.
    if collections.len() < 2 {
        return;
    }
    html.push_str("<ul class=\"answers\">\n");
    for (place, found) in collections.iter().enumerate() {
        push(
            html,
            format_args!(
                "<li><strong>{}:</strong> {}</li>\n",
                study.collection(place),
                text(&notes::verdict(study.config, study.results, found))
            ),
        );
    }
    html.push_str("</ul>\n");
}

fn collection(html: &mut String, study: &Study<'_>, place: usize) -> Result<()> {
    let found = &study.results.collections[place];
    push(
        html,
        format_args!(
            "<section id=\"collection-{place}\">\n<h2>{}: {}</h2>\n",
            study.collection(place),
            counted(found.queries.len() as u64, "test query")
        ),
    );
    effect::section(html, study, place);
    let texts = wins::query_texts(study.config, place)?;
    let (config, plan, folder) = (study.config, study.plan, study.folder);
    let comparisons = wins::compare(config, plan, folder, study.results, place, &texts)?;
    cases::section(html, study, &comparisons);
    words::section(html, study, place, &texts)?;
    html.push_str("</section>\n");
    Ok(())
}

/// The parameters that were chosen; empty without choices.
fn choices(study: &Study<'_>) -> Result<String> {
    let mut rows = Vec::new();
    for (name, step) in &study.plan.choices {
        let choice = study.folder.choice(&study.plan.steps[*step])?;
        rows.push((
            name.as_str(),
            choice.cells().map(|cell| text(&cell)).to_vec(),
        ));
    }
    let mut html = String::new();
    if rows.is_empty() {
        return Ok(html);
    }
    html.push_str("<section id=\"parameters\">\n<h2>Parameters</h2>\n");
    let caption = "Chosen on the development queries";
    table(&mut html, caption, &HEADS, rows);
    html.push_str("</section>\n");
    Ok(html)
}

fn method(html: &mut String, study: &Study<'_>) {
    push(
        html,
        format_args!(
            "<section id=\"method\">\n<h2>How to read this</h2>\n\
             <p>Each number is a mean over test queries, with the 95&nbsp;% interval of the bootstrap. Stars \
             compare with {}: a paired randomization test, two-sided, corrected by Holm's method for all tests \
             on the collection (* p&nbsp;&lt;&nbsp;.05, ** p&nbsp;&lt;&nbsp;.01). Few queries cannot show small \
             differences, however many there are.</p>\n\
             <p>Floors (shuffled, constant and random results) are no hypotheses: they are not tested, and say \
             what a metric gives for no knowledge at all.</p>\n<p>{}</p>\n</section>\n",
            study.baseline(),
            super::cost::note()
        ),
    );
}
