//! The two byte streams the codec needs, so that it runs without the standard library.
//!
//! The codec makes many small reads and writes: a file or a socket wants a buffer in between.

use alloc::vec::Vec;
use core::convert::Infallible;

use super::error::{Error, StreamError};

/// Where encoded bytes go.
pub trait Write {
    /// Why writing failed.
    type Error;

    /// Takes all of `bytes`, or fails.
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}

impl Write for Vec<u8> {
    type Error = Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

impl<W: Write + ?Sized> Write for &mut W {
    type Error = W::Error;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), W::Error> {
        (**self).write_all(bytes)
    }
}

/// Where encoded bytes come from.
pub trait Read {
    /// Why reading failed.
    type Error;

    /// Fills the start of `buf` and returns how many bytes; 0 only at the end or for an empty `buf`.
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error>;
}

impl Read for &[u8] {
    type Error = Infallible;

    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
        let count = self.len().min(buf.len());
        if let (Some((head, rest)), Some(target)) =
            (self.split_at_checked(count), buf.get_mut(..count))
        {
            target.copy_from_slice(head);
            *self = rest;
        }
        Ok(count)
    }
}

impl<R: Read + ?Sized> Read for &mut R {
    type Error = R::Error;

    fn read(&mut self, buf: &mut [u8]) -> Result<usize, R::Error> {
        (**self).read(buf)
    }
}

/// A standard writer as a [`Write`].
#[cfg(feature = "std")]
#[derive(Debug)]
pub struct IoWrite<W>(pub W);

#[cfg(feature = "std")]
impl<W: std::io::Write> Write for IoWrite<W> {
    type Error = std::io::Error;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), std::io::Error> {
        self.0.write_all(bytes)
    }
}

/// A standard reader as a [`Read`]; an interrupted read is repeated.
#[cfg(feature = "std")]
#[derive(Debug)]
pub struct IoRead<R>(pub R);

#[cfg(feature = "std")]
impl<R: std::io::Read> Read for IoRead<R> {
    type Error = std::io::Error;

    fn read(&mut self, buf: &mut [u8]) -> Result<usize, std::io::Error> {
        loop {
            match self.0.read(buf) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// A reader that knows how far it is and treats an early end as an error.
#[derive(Debug)]
pub(super) struct Input<R> {
    inner: R,
    offset: u64,
}

impl<R: Read> Input<R> {
    pub(super) const fn new(inner: R) -> Input<R> {
        Input { inner, offset: 0 }
    }

    /// What it reads from.
    pub(super) const fn inner(&self) -> &R {
        &self.inner
    }

    /// Bytes read so far.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Fills all of `buf`.
    pub(super) fn read_exact(&mut self, buf: &mut [u8]) -> Result<(), StreamError<R::Error>> {
        let mut rest = buf;
        while !rest.is_empty() {
            let count = self.read_some(rest)?;
            // A reader that claims more than there is room for is as broken as one that ends early.
            rest = rest.get_mut(count..).ok_or(Error::Truncated)?;
        }
        Ok(())
    }

    pub(super) fn read_array<const N: usize>(&mut self) -> Result<[u8; N], StreamError<R::Error>> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn read_u32(&mut self) -> Result<u32, StreamError<R::Error>> {
        Ok(u32::from_be_bytes(self.read_array()?))
    }

    pub(super) fn read_u64(&mut self) -> Result<u64, StreamError<R::Error>> {
        Ok(u64::from_be_bytes(self.read_array()?))
    }

    /// Makes sure that nothing follows.
    pub(super) fn expect_end(&mut self) -> Result<(), StreamError<R::Error>> {
        match self.inner.read(&mut [0]).map_err(StreamError::Io)? {
            0 => Ok(()),
            _ => Err(Error::TrailingBytes.into()),
        }
    }

    fn read_some(&mut self, buf: &mut [u8]) -> Result<usize, StreamError<R::Error>> {
        let count = self.inner.read(buf).map_err(StreamError::Io)?;
        if count == 0 {
            return Err(Error::Truncated.into());
        }
        self.offset = self.offset.saturating_add(count as u64);
        Ok(count)
    }
}

/// A writer that knows how far it is.
#[derive(Debug)]
pub(super) struct Output<W> {
    inner: W,
    offset: u64,
}

impl<W: Write> Output<W> {
    pub(super) const fn new(inner: W) -> Output<W> {
        Output { inner, offset: 0 }
    }

    /// Bytes written so far.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError<W::Error>> {
        self.inner.write_all(bytes).map_err(StreamError::Io)?;
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        Ok(())
    }

    pub(super) fn into_inner(self) -> W {
        self.inner
    }
}
