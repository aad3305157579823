//! What time it is for a bucket: each of its answers bears a date.
//!
//! A machine that is stopped with all its clocks, as one that is moved or restored from an image, does not
//! notice. The store does: how long a commit's file took to be made after its head was read is told by the
//! dates of the two answers, too.

use std::cell::Cell;

use chrono::DateTime;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

tokio::task_local! {
    /// The latest date in what a task asks for.
    static LATEST: Cell<Option<u64>>;
}

/// Does something that asks the store, and returns the date of its last answer, in s since the Unix epoch;
/// `None` where it has no dates.
pub(in crate::store) async fn dated<T>(work: impl Future<Output = T>) -> (T, Option<u64>) {
    let scope = LATEST.scope(Cell::new(None), async {
        let done = work.await;
        (done, LATEST.with(Cell::get))
    });
    scope.await
}

/// Connects to a bucket, and notes the dates of its answers.
#[derive(Debug, Default)]
pub(in crate::store) struct Connector(ReqwestConnector);

#[derive(Debug)]
struct Service(HttpClient);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(self.0.connect(options)?)))
    }
}

#[async_trait::async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.0.execute(request).await?;
        let date = response.headers().get("date").and_then(|date| date.to_str().ok());
        note(date);
        Ok(response)
    }
}

fn note(date: Option<&str>) {
    let seconds = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok());
    let seconds = seconds.and_then(|date| u64::try_from(date.timestamp()).ok());
    // What is asked outside of any scope is of no interest.
    let _ = LATEST.try_with(|latest| latest.set(latest.get().max(seconds)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answer_of_a_task_counts() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ask = |dates: Vec<Option<&'static str>>| {
            let work = dated(async move { dates.iter().for_each(|date| note(*date)) });
            runtime.block_on(work).1
        };
        let (early, late) =
            (Some("Sat, 28 Nov 2026 10:00:00 GMT"), Some("Sat, 28 Nov 2026 11:00:00 GMT"));
        assert_eq!(ask(vec![early, late]), Some(1_795_863_600));
        assert_eq!(ask(vec![late, early, None]), Some(1_795_863_600));
        assert_eq!(ask(vec![None, Some("yesterday")]), None);
        note(early);
        assert_eq!(ask(vec![]), None);
    }
}
