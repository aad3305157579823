//! What is behind an error: the libraries' own texts say only that a request failed.

use std::error::Error;

/// The innermost cause.
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// The error of TLS that an error comes from.
pub(super) fn tls_error_of(error: &reqwest::Error) -> Option<&rustls::Error> {
    causes(error).find_map(tls_error)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// An error of TLS, or an I/O error made of one, which [`Error::source`] does not show.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.downcast_ref().or_else(|| inner.and_then(|inner| tls_error(inner)))
}
