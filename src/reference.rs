//! Mimi in candle tensors.
