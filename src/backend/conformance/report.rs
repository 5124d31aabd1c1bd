//! What checks report while they run: each case before its kernels are launched, and each failure.

use std::fmt;

use crate::error::{Error, Result};

/// One case that differed from what was expected, or ended with an error.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The operation, such as `linear Gelu`.
    pub operation: String,
    /// The shape and the origin of the values.
    pub shape: String,
    /// What was expected and what was found.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operation,
            shape,
            message,
        } = self;
        write!(f, "{operation}, {shape}: {message}")
    }
}

/// Receives what checks report.
pub trait Observer {
    /// The kernels of a case are launched next.
    fn begin(&mut self, operation: &str, shape: &str);

    /// A case failed.
    ///
    /// # Errors
    ///
    /// An error ends the check; after `Ok` it goes on with the next case.
    fn fail(&mut self, failure: Failure) -> Result<()>;
}

/// Ends a check at its first failure.
pub(super) struct FirstFailure;

impl Observer for FirstFailure {
    fn begin(&mut self, _operation: &str, _shape: &str) {}

    fn fail(&mut self, failure: Failure) -> Result<()> {
        Err(Error::device(failure.to_string()))
    }
}

/// The current case of a check.
pub(super) struct Reporter<'a> {
    observer: &'a mut dyn Observer,
    /// The seed and the round.
    about: String,
    operation: String,
    shape: String,
    /// The observer has ended the check.
    is_ended: bool,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(observer: &'a mut dyn Observer, operation: String, about: String) -> Self {
        Self {
            observer,
            shape: about.clone(),
            about,
            operation,
            is_ended: false,
        }
    }

    pub(super) fn begin(&mut self, operation: impl Into<String>, shape: &str) {
        self.operation = operation.into();
        self.shape = format!("{shape}, {}", self.about);
        self.observer.begin(&self.operation, &self.shape);
    }

    pub(super) fn fail(&mut self, message: impl Into<String>) -> Result<()> {
        let failed = self.observer.fail(Failure {
            operation: self.operation.clone(),
            shape: self.shape.clone(),
            message: message.into(),
        });
        self.is_ended |= failed.is_err();
        failed
    }

    /// Reports an error of the current case, unless it is the observer's own.
    pub(super) fn finish(&mut self, result: Result<()>) -> Result<()> {
        match result {
            Err(error) if !self.is_ended => self.fail(error.to_string()),
            result => result,
        }
    }
}
