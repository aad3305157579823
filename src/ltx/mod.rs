//! LTX codec.
