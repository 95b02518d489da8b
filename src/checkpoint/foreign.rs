//! What a file or a tensor is that this library does not read, and what to do about it.

use super::header::Stored;
use safetensors::tensor::Dtype;
use std::collections::BTreeMap;

/// How many of a file's first bytes tell what it is.
pub(super) const FIRST: usize = 512;

/// The beginnings of files, and what they are.
const FORMATS: [(&[u8], &str); 8] = [
    (
        b"GGUF",
        "it is a GGUF file, which this library does not read: expected the safetensors file it was made from",
    ),
    (b"PK\x03\x04", PICKLED),
    (b"\x80\x02", PICKLED),
    (b"\x80\x03", PICKLED),
    (b"\x80\x04", PICKLED),
    (b"\x80\x05", PICKLED),
    (b"\x1f\x8b", "it is compressed by gzip: expected the file inside"),
    (b"\x93NUMPY", "it is a NumPy array: expected weights as safetensors"),
];

const PICKLED: &str = "it is a pickle or a zip archive with one, as torch.save() writes, which can run code when it is \
                       read and is not read here: expected the model's safetensors file, or its tensors written by \
                       safetensors.torch.save_file()";

/// What a file of `size` bytes is that begins with `first` and is not a safetensors file.
pub(super) fn file(first: &[u8], size: u64) -> Option<String> {
    if let Some((_, what)) = FORMATS.iter().find(|(magic, _)| first.starts_with(magic)) {
        return Some((*what).to_owned());
    }
    let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first).trim_ascii();
    let text = str::from_utf8(text).ok().or_else(|| str::from_utf8(&text[..text.len().min(64)]).ok())?;
    if text.starts_with("version https://git-lfs") || text.starts_with("version https://hawser") {
        let bytes = text.lines().find_map(|line| line.strip_prefix("size ")?.trim().parse::<u64>().ok());
        let bytes = bytes.map_or("its file".to_owned(), |bytes| format!("a file of {bytes} bytes"));
        return Some(format!(
            "it is a Git LFS pointer to {bytes}, which is not here: expected that file; `git lfs pull` fetches it"
        ));
    }
    if text.starts_with('<') {
        return Some(
            "it is a page of HTML or XML, as servers send in place of a file: expected the file itself; download it \
             again"
                .to_owned(),
        );
    }
    let is_hash = |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_path =
        ["refs/", "ref: ", "../", "snapshots/", "blobs/"].iter().any(|start| text.starts_with(start));
    if size < 100 && is_hash(text) {
        return Some(format!(
            "it is a reference in a hub's cache, to commit {text}: expected the folder snapshots/{text} of that cache"
        ));
    }
    if size < 1000 && is_path {
        return Some(format!("it is a reference, to {text}: expected the file or folder that it leads to"));
    }
    None
}

/// Why a tensor of another type or shape than Mimi's is not read: what it is, if its neighbours or its shape tell.
pub(super) fn tensor(
    tensors: &BTreeMap<String, Stored>,
    (name, stored): (&str, &Stored),
    expected: &[usize],
) -> Option<String> {
    let module = name.strip_suffix("weight");
    let scales = module.is_some_and(|module| tensors.contains_key(&format!("{module}scales")));
    if stored.dtype == Dtype::U32 && scales {
        return Some(
            "is quantised by MLX, U32 with scales: expected the weights before that, as F32, F16 or BF16"
                .to_owned(),
        );
    }
    let [outputs, inputs, taps] = *expected else { return None };
    let orders = [[outputs, taps, inputs], [inputs, taps, outputs]];
    (orders.iter().any(|order| *order == *stored.shape)).then(|| {
        format!(
            "has shape {:?}, in MLX's order with the taps before the inputs: expected PyTorch's order, {expected:?}",
            stored.shape
        )
    })
}
