//! The parameters of a model in training: one master for each tensor of the model's files, and the
//! packed forms that operations read.
//!
//! A packed form may stack several tensors (queries, keys and values of a layer), and a tensor may
//! have several forms (word embeddings that a decoder shares): gradients are kept by tensor, so both
//! come out right.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::backend::{BackwardOps, Orientation};
use crate::error::{Error, Result};

/// The handle of a packed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed(usize);

/// One tensor of a model.
pub struct Master<B: BackwardOps> {
    /// Its name in the model's files, without prefix.
    pub name: String,
    /// The number of its values.
    pub len: usize,
    /// f32 values.
    pub value: B::Buffer,
    /// The sum of the gradients since they were cleared. Locked while it is added to.
    pub gradient: Mutex<B::Buffer>,
}

/// The masters of consecutive outputs of a linear layer.
pub(super) struct LinearMasters<'a, B: BackwardOps> {
    pub outputs: usize,
    pub weight: &'a Master<B>,
    pub bias: Option<&'a Master<B>>,
}

/// What operations read. A form without masters is constant.
pub(super) enum Form<B: BackwardOps> {
    Matrix {
        forward: B::Matrix,
        transposed: B::Matrix,
        inputs: usize,
        /// Masters in the order in which they are stacked, and the outputs of each.
        masters: Vec<(usize, usize)>,
    },
    Table {
        table: B::Table,
        rows: usize,
        columns: usize,
        master: Option<usize>,
    },
    Vector {
        vector: B::Vector,
        masters: Vec<usize>,
    },
}

/// All parameters of a model.
pub struct Parameters<B: BackwardOps> {
    pub(super) forms: Vec<Form<B>>,
    masters: Vec<Master<B>>,
    by_name: HashMap<String, usize>,
}

impl<B: BackwardOps> Default for Parameters<B> {
    fn default() -> Self {
        Self {
            forms: Vec::new(),
            masters: Vec::new(),
            by_name: HashMap::new(),
        }
    }
}

impl<B: BackwardOps> Parameters<B> {
    /// The tensors of the model, in the order in which they were loaded.
    pub fn masters(&self) -> &[Master<B>] {
        &self.masters
    }

    /// The tensors of the model, for an optimizer.
    pub fn masters_mut(&mut self) -> &mut [Master<B>] {
        &mut self.masters
    }

    /// Sets all gradients to 0.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device fails.
    pub fn clear_gradients(&self, backend: &B) -> Result<()> {
        let mut masters = self.masters.iter();
        masters.try_for_each(|master| backend.clear(&mut lock(&master.gradient)))
    }

    /// Packs all forms again, after the masters were changed.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device fails.
    pub fn pack(&mut self, backend: &B) -> Result<()> {
        let value = |master: &usize| &self.masters[*master].value;
        for form in &mut self.forms {
            match form {
                Form::Matrix {
                    forward,
                    transposed,
                    inputs,
                    masters,
                } if !masters.is_empty() => {
                    let stacked: Vec<_> = masters.iter().map(|(master, _)| value(master)).collect();
                    backend.pack_matrix(forward, &stacked, *inputs, Orientation::Forward)?;
                    backend.pack_matrix(transposed, &stacked, *inputs, Orientation::Transposed)?;
                }
                Form::Table {
                    table,
                    rows,
                    columns,
                    master: Some(master),
                } => backend.pack_table(table, value(master), *rows, *columns)?,
                Form::Vector { vector, masters } if !masters.is_empty() => {
                    let stacked: Vec<_> = masters.iter().map(value).collect();
                    backend.pack_vector(vector, &stacked)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The master of a tensor, which is made when the tensor is loaded for the first time.
    fn master(&mut self, backend: &B, name: &str, values: &[f32]) -> Result<usize> {
        if let Some(master) = self.by_name.get(name) {
            let found = self.masters[*master].len;
            if found != values.len() {
                return Err(Error::model(
                    "",
                    format!(
                        "the tensor `{name}`: expected {found} values, as where it was loaded before, found {}",
                        values.len()
                    ),
                ));
            }
            return Ok(*master);
        }
        let number = self.masters.len();
        self.masters.push(Master {
            name: name.to_owned(),
            len: values.len(),
            value: backend.buffer(values)?,
            gradient: Mutex::new(backend.zeros(values.len())?),
        });
        self.by_name.insert(name.to_owned(), number);
        Ok(number)
    }

    /// The masters of tensors whose values lie one after another, as many of each.
    fn stacked(&mut self, backend: &B, names: &[String], values: &[f32]) -> Result<Vec<usize>> {
        let share = values.len() / names.len().max(1);
        let parts = names.iter().zip(values.chunks(share.max(1)));
        parts
            .map(|(name, values)| self.master(backend, name, values))
            .collect()
    }

    fn push(&mut self, form: Form<B>) -> Packed {
        self.forms.push(form);
        Packed(self.forms.len() - 1)
    }

    pub(super) fn add_matrix(
        &mut self,
        backend: &B,
        names: &[String],
        (outputs, inputs): (usize, usize),
        values: &[f32],
    ) -> Result<Packed> {
        let masters = self.stacked(backend, names, values)?;
        let outputs_of_each = outputs / masters.len().max(1);
        let forward = backend.matrix(outputs, inputs, values)?;
        let columns = |column| values.iter().skip(column).step_by(inputs.max(1)).copied();
        let transposed: Vec<f32> = (0..inputs).flat_map(columns).collect();
        let transposed = backend.matrix(inputs, outputs, &transposed)?;
        Ok(self.push(Form::Matrix {
            forward,
            transposed,
            inputs,
            masters: masters
                .into_iter()
                .map(|master| (master, outputs_of_each))
                .collect(),
        }))
    }

    pub(super) fn add_table(
        &mut self,
        backend: &B,
        name: Option<&str>,
        (rows, columns): (usize, usize),
        values: &[f32],
    ) -> Result<Packed> {
        let master = name
            .map(|name| self.master(backend, name, values))
            .transpose()?;
        let table = backend.table(rows, columns, values)?;
        Ok(self.push(Form::Table {
            table,
            rows,
            columns,
            master,
        }))
    }

    pub(super) fn add_vector(
        &mut self,
        backend: &B,
        names: &[String],
        values: &[f32],
    ) -> Result<Packed> {
        let masters = self.stacked(backend, names, values)?;
        let vector = backend.vector(values)?;
        Ok(self.push(Form::Vector { vector, masters }))
    }

    pub(super) fn matrix(&self, packed: Packed) -> (&B::Matrix, &B::Matrix) {
        match &self.forms[packed.0] {
            Form::Matrix {
                forward,
                transposed,
                ..
            } => (forward, transposed),
            _ => unreachable!("a handle of a matrix names a matrix"),
        }
    }

    pub(super) fn table(&self, packed: Packed) -> &B::Table {
        match &self.forms[packed.0] {
            Form::Table { table, .. } => table,
            _ => unreachable!("a handle of a table names a table"),
        }
    }

    pub(super) fn vector(&self, packed: Packed) -> &B::Vector {
        match &self.forms[packed.0] {
            Form::Vector { vector, .. } => vector,
            _ => unreachable!("a handle of a vector names a vector"),
        }
    }

    /// The masters of a linear layer: of its weight with the outputs of each, and of its bias.
    pub(super) fn linear_masters(
        &self,
        weight: Packed,
        bias: Option<Packed>,
    ) -> Vec<LinearMasters<'_, B>> {
        let Form::Matrix { masters, .. } = &self.forms[weight.0] else {
            return Vec::new();
        };
        let biases = bias.map_or(&[][..], |bias| match &self.forms[bias.0] {
            Form::Vector { masters, .. } => masters,
            _ => &[],
        });
        let part = |(place, (weight, outputs)): (usize, &(usize, usize))| LinearMasters {
            outputs: *outputs,
            weight: &self.masters[*weight],
            bias: biases.get(place).map(|bias| &self.masters[*bias]),
        };
        masters.iter().enumerate().map(part).collect()
    }

    /// The master of a table or of a parameter row that is one tensor.
    pub(super) fn single_master(&self, packed: Packed) -> Option<&Master<B>> {
        let master = match &self.forms[packed.0] {
            Form::Table { master, .. } => *master,
            Form::Vector { masters, .. } => masters.first().copied(),
            Form::Matrix { .. } => None,
        };
        master.map(|master| &self.masters[master])
    }
}

/// Locks a gradient. A panic while it was held leaves numbers of an abandoned step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
