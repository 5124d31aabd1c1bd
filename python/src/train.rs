//! Training of models.

use esparsa::executor::CancelToken;
use esparsa::train::{Entry, Event, Summary, TrainKind, TrainOptions, Watcher, train};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::document::to_json;
use crate::error::invalid;
use crate::hits::from_json;
use crate::interrupt::interruptible;
use crate::schema::choice;

/// Trains a model, and returns a dict about the run: `model` (the folder of the best one), `steps`,
/// `reason`, `best` (its evaluation) and `last` (the last step).
///
/// `kind` is `"splade"`, `"cross"`, `"bi"`, `"align"` or `"mlm"`. The options are those of the
/// program `esparsa train`, as keywords: `base`, `output`, `collection`, `learning_rate`, `steps` and
/// others, which `train_option_names` lists; new models and cut vocabularies are made by that program
/// alone. `on_event` is called with a dict for each event of the run; what it raises ends the run.
/// Ctrl-C ends it with a checkpoint, from which `resume=True` goes on.
#[pyfunction]
#[pyo3(name = "train", signature = (kind, *, on_event = None, **options))]
pub fn train_model<'py>(
    py: Python<'py>,
    kind: &str,
    on_event: Option<Py<PyAny>>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let kinds = [
        ("splade", TrainKind::Splade),
        ("cross", TrainKind::Cross),
        ("bi", TrainKind::Bi),
        ("align", TrainKind::Align),
        ("mlm", TrainKind::Mlm),
    ];
    let kind = choice("kind", kind, &kinds)?;
    let options = train_options(py, options)?;
    let mut calls = Calls {
        on_event,
        step: 0,
        raised: None,
    };
    let summary = interruptible(py, |cancel| train(kind, &options, &mut calls, cancel));
    if let Some(raised) = calls.raised {
        return Err(raised);
    }
    to_python(py, &summary?)
}

/// Options by the names of Python's keywords.
fn train_options(py: Python<'_>, given: Option<&Bound<'_, PyDict>>) -> PyResult<TrainOptions> {
    let named = PyDict::new(py);
    for (key, value) in given.into_iter().flatten() {
        let key: String = key.extract()?;
        if !TrainOptions::KEYS.iter().any(|known| known.name == key) {
            return Err(invalid(format!(
                "expected options of train, which train_option_names() lists, found `{key}`"
            )));
        }
        named.set_item(key.replace('_', "-"), value)?;
    }
    let json = to_json(&named)?;
    serde_json::from_slice(&json)
        .map_err(|error| invalid(format!("the options of training: {error}")))
}

fn to_python<'py>(py: Python<'py>, summary: &Summary) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("model", &summary.model)?;
    dict.set_item("steps", summary.steps)?;
    dict.set_item("reason", &summary.reason)?;
    let record = |json: serde_json::Result<Vec<u8>>| {
        let json = json.map_err(|error| invalid(error.to_string()))?;
        from_json(&PyBytes::new(py, &json))
    };
    dict.set_item("best", record(serde_json::to_vec(&summary.best))?)?;
    dict.set_item("last", record(serde_json::to_vec(&summary.last))?)?;
    Ok(dict)
}

/// Hands events to a function of Python.
struct Calls {
    on_event: Option<Py<PyAny>>,
    step: u64,
    /// What the function raised.
    raised: Option<PyErr>,
}

impl Watcher for Calls {
    fn on(&mut self, event: &Event<'_>) -> esparsa::Result<()> {
        let Some(on_event) = &self.on_event else {
            return Ok(());
        };
        if let Event::Step(record) = event {
            self.step = record.step;
        }
        let json = serde_json::to_vec(&Entry::new(event, self.step));
        let called = Python::attach(|py| {
            let json = json.map_err(|error| invalid(error.to_string()))?;
            on_event.call1(py, (from_json(&PyBytes::new(py, &json))?,))?;
            Ok::<(), PyErr>(())
        });
        match called {
            Ok(()) => Ok(()),
            Err(raised) => {
                self.raised = Some(raised);
                let cancel = CancelToken::new();
                cancel.cancel();
                cancel.check("training")
            }
        }
    }
}

/// The names of all options of `train`, with what each is.
#[pyfunction]
pub fn train_option_names(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let names = PyDict::new(py);
    for key in TrainOptions::KEYS {
        names.set_item(key.name, key.help.trim())?;
    }
    Ok(names)
}
