//! The model that an alignment aims at.

use super::start::threads;
use crate::error::{Error, Result};
use crate::neural::{
    Cpu, CpuOptions, Hardware, LongText, Model, ModelFolder, Precision, SparseTextEncoder,
};
use crate::train::options::TrainOptions;

/// Opens the teacher of an alignment, on the CPU in bf16.
///
/// # Errors
///
/// [`Error::InvalidInput`] without a teacher; [`Error::Model`] for one that is no sparse encoder, or
/// whose tokens are not those of the student.
pub(super) fn open_teacher(
    options: &TrainOptions,
    student: &ModelFolder,
) -> Result<Box<dyn SparseTextEncoder>> {
    let Some(path) = &options.teacher else {
        return Err(Error::invalid(
            "teacher: expected the folder of a sparse model, found none",
        ));
    };
    let folder = ModelFolder::open(path)?;
    check_vocabulary(&folder, student)?;
    let cpu = Cpu::new(CpuOptions {
        threads: threads(options),
        precision: Precision::Bf16,
    })?;
    match Model::load(folder, Hardware::from(cpu), LongText::default())? {
        Model::Sparse(encoder) => Ok(encoder),
        other => Err(Error::model(
            path,
            format!(
                "the teacher: expected a model of sparse vectors, found {:?}",
                other.kind()
            ),
        )),
    }
}

/// Refuses models whose terms are not the same.
fn check_vocabulary(teacher: &ModelFolder, student: &ModelFolder) -> Result<()> {
    let refuse = |what: String| {
        Err(Error::model(
            &teacher.path,
            format!(
                "the teacher: expected the vocabulary of {}, found {what}; both models must make vectors of the same terms",
                student.path.display()
            ),
        ))
    };
    let [of_teacher, of_student] = [teacher, student].map(|folder| folder.tokenizer.vocabulary());
    if of_teacher != of_student {
        return refuse(format!("{of_teacher} tokens instead of {of_student}"));
    }
    // Vocabularies are limited to 2^24 tokens.
    for id in 0..of_teacher as u32 {
        let [one, other] = [teacher, student].map(|folder| folder.tokenizer.token(id));
        if one != other {
            return refuse(format!("the token {id} is {one:?} instead of {other:?}"));
        }
    }
    Ok(())
}
