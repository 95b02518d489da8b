//! The rate and length of a recording at whose rate no frame is a whole number of samples.

use super::{HEADER_BYTES, Header, HeaderError, array};

/// Bytes of the header that [`Original::header_bytes`] writes.
pub const ORIGINAL_HEADER_BYTES: usize = HEADER_BYTES + 12;

/// The rate and length of a recording whose frames are not whole numbers of samples.
///
/// A [`Header`] cannot have such a rate, so it describes the recording at another one. This stands behind the
/// header's own fields, and tells what the recording was.
///
/// ```
/// use mimi::bitstream::{Header, Original};
///
/// // 9000 samples at 11111 Hz are 19440.2 at 24 kHz.
/// let header = Header {
///     codebooks: 8,
///     code_bits: 11,
///     sample_rate: 24_000,
///     frame_samples: 1_920,
///     samples: 19_441,
///     model_id: 0,
/// };
/// let original = Original { sample_rate: 11_111, samples: 9_000 };
/// let bytes = original.header_bytes(&header)?;
/// assert_eq!(Header::from_bytes(&bytes)?, (header, 52));
/// assert_eq!(Original::from_bytes(&bytes)?, Some(original));
/// assert_eq!(Original::from_bytes(&header.to_bytes()?)?, None);
/// # Ok::<(), mimi::bitstream::HeaderError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Original {
    /// Hz, not 0.
    pub sample_rate: u32,
    /// Samples of the recording at this rate, below 2^63; 0: unknown.
    pub samples: u64,
}

impl Original {
    /// `header` with this behind it, as bytes.
    ///
    /// # Errors
    ///
    /// [`HeaderError::Corrupt`] if a field has a value that the format does not allow.
    pub fn header_bytes(&self, header: &Header) -> Result<[u8; ORIGINAL_HEADER_BYTES], HeaderError> {
        if self.sample_rate == 0 {
            return Err(HeaderError::Corrupt("original sample rate 0"));
        }
        self.check()?;
        let mut bytes = [0; ORIGINAL_HEADER_BYTES];
        bytes[..HEADER_BYTES].copy_from_slice(&header.to_bytes()?);
        bytes[6..8].copy_from_slice(&(ORIGINAL_HEADER_BYTES as u16).to_le_bytes());
        bytes[36..40].copy_from_slice(&self.sample_rate.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.samples.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..48]);
        bytes[48..].copy_from_slice(&crc.to_le_bytes());
        Ok(bytes)
    }

    /// Reads it from `bytes`, which begin with a header and may go on after it; `None` if the header has none.
    ///
    /// # Errors
    ///
    /// As for [`Header::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, HeaderError> {
        let (_, length) = Header::from_bytes(bytes)?;
        if length < ORIGINAL_HEADER_BYTES {
            return Ok(None);
        }
        let sample_rate = u32::from_le_bytes(array(bytes, 36));
        let samples = u64::from_le_bytes(array(bytes, 40));
        let original = (sample_rate > 0).then_some(Self { sample_rate, samples });
        original.map(|original| original.check().map(|()| original)).transpose()
    }

    fn check(&self) -> Result<(), HeaderError> {
        match i64::try_from(self.samples) {
            Ok(_) => Ok(()),
            Err(_) => Err(HeaderError::Corrupt("original length not below 2^63")),
        }
    }
}
