//! Packing matrices, with the library's errors.

use crate::error::{out_of_memory, with_capacity};
use crate::kernels::{Elements, Matrix, PackError, Packing};
use crate::{Error, ErrorKind};

/// A packed matrix. Who knows the tensor's name adds it to the error.
pub(crate) fn pack(
    packing: Packing,
    elements: Elements,
    bias: impl Fn(usize) -> f32,
) -> Result<Matrix, Error> {
    Matrix::pack(packing, elements, &bias).map_err(not_packed)
}

/// The error for weights that cannot be packed.
pub(crate) fn not_packed(error: PackError) -> Error {
    let message = match error {
        PackError::Memory(error) => return out_of_memory(error),
        PackError::NotFinite => "a weight or bias is not finite as it is kept: scaled, summed or rounded",
        PackError::Misfit => "the packed weights are more or fewer than the network's layer has",
    };
    Error::new(ErrorKind::Corrupt, message)
}

/// A list of offsets.
pub(crate) fn offsets(all: impl Iterator<Item = usize> + Clone) -> Result<Vec<usize>, Error> {
    let mut list = with_capacity(all.clone().count())?;
    list.extend(all);
    Ok(list)
}
