//! The HTTP client, and what it is configured with.

mod answer;
mod config;

use crate::fuzzing::Target;

/// An answer, cut into packets in three ways.
pub const HTTP_ANSWER: Target =
    Target { name: "http_answer", check: answer::check, seeds: answer::seeds };

/// URLs, environments, proxies, sizes and times.
pub const CONFIG_URL: Target =
    Target { name: "config_url", check: config::check, seeds: config::seeds };
