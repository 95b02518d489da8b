//! Models by name: Hugging Face's cache on this machine, and downloads into it.

mod cache;
mod download;
mod fetch;
mod server;

pub(crate) use cache::Cache;
pub(crate) use fetch::fetch;

use std::{fmt, path::Path};

/// `kyutai/mimi`: who published it, and what it is called; and a folder in it, as in
/// `kyutai/pocket-tts/languages/english`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    owner: String,
    model: String,
    /// Words with slashes between them, or none.
    folder: String,
}

/// Extensions of files that the tool knows: a path that leads nowhere is not a name.
const FILES: [&str; 12] = [
    ".safetensors",
    ".sft",
    ".sfts",
    ".wav",
    ".aiff",
    ".aif",
    ".flac",
    ".ogg",
    ".mp3",
    ".mtok",
    ".npy",
    ".mimi",
];

impl Name {
    /// What is typed as a model, if it can be a name: two words or more with slashes between them.
    pub(crate) fn parse(typed: &Path) -> Option<Self> {
        let (owner, rest) = typed.to_str()?.split_once('/')?;
        let (model, folder) = rest.split_once('/').unwrap_or((rest, ""));
        // the characters that Hugging Face allows; no word of dots, which would lead elsewhere
        let is_word = |word: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !word.is_empty() && !word.starts_with('.') && !word.contains("--") && word.chars().all(allowed)
        };
        let is_file = FILES.iter().any(|extension| rest.ends_with(extension));
        let are_words = rest.split('/').all(is_word) && is_word(owner);
        (are_words && !is_file).then(|| Self {
            owner: owner.to_owned(),
            model: model.to_owned(),
            folder: folder.to_owned(),
        })
    }

    /// Without the folder in it.
    fn repository(&self) -> String {
        format!("{}/{}", self.owner, self.model)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.folder.as_str() {
            "" => f.write_str(&self.repository()),
            folder => write!(f, "{}/{folder}", self.repository()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_two_words_or_more_and_lead_nowhere() {
        let name = Name::parse(Path::new("kyutai/mimi")).unwrap();
        assert_eq!((name.owner.as_str(), name.model.as_str(), name.folder.as_str()), ("kyutai", "mimi", ""));
        let deeper = Name::parse(Path::new("kyutai/pocket-tts/languages/english")).unwrap();
        assert_eq!(
            (deeper.repository().as_str(), deeper.folder.as_str()),
            ("kyutai/pocket-tts", "languages/english")
        );
        assert_eq!(deeper.to_string(), "kyutai/pocket-tts/languages/english");
        let others = [
            "mimi",
            "/mimi",
            "kyutai/",
            "a/b/",
            "a/b//c",
            "a/b/../c",
            "a/b/c.wav",
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
