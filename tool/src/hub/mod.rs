//! Models by name: Hugging Face's cache on this machine, and downloads into it.

mod cache;
mod download;
mod fetch;

pub(crate) use cache::Cache;
pub(crate) use fetch::fetch;

use std::{fmt, path::Path};

/// `kyutai/mimi`: who published it, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    owner: String,
    model: String,
}

/// Extensions of files that the tool knows: a path that leads nowhere is not a name.
const FILES: [&str; 10] =
    [".safetensors", ".wav", ".aiff", ".aif", ".flac", ".ogg", ".mp3", ".mtok", ".npy", ".mimi"];

impl Name {
    /// What is typed as a model, if it can be a name: two words with a slash between them.
    pub(crate) fn parse(typed: &Path) -> Option<Self> {
        let (owner, model) = typed.to_str()?.split_once('/')?;
        // the characters that Hugging Face allows; no word of dots, which would lead elsewhere
        let is_word = |word: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !word.is_empty() && !word.starts_with('.') && !word.contains("--") && word.chars().all(allowed)
        };
        let is_file = FILES.iter().any(|extension| model.ends_with(extension));
        (is_word(owner) && is_word(model) && !is_file)
            .then(|| Self { owner: owner.to_owned(), model: model.to_owned() })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_two_words_and_lead_nowhere() {
        let name = Name::parse(Path::new("kyutai/mimi")).unwrap();
        assert_eq!((name.owner.as_str(), name.model.as_str()), ("kyutai", "mimi"));
        let others = [
            "mimi",
            "/mimi",
            "kyutai/",
            "a/b/c",
            "./mimi",
            "../mimi",
            "a/..",
            "a/b.safetensors",
            "a/b.wav",
            "a/b.mtok",
            "a b/c",
        ];
        for typed in others {
            assert_eq!(Name::parse(Path::new(typed)), None, "{typed}");
        }
    }
}
