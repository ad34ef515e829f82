//! One HTTP attempt: waits at its gate, meets its fault, and is metered on its way.

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::{AggregatedBytes, ByteStream};

use super::{Connector, carrying};
use crate::faults::{self, CallInfo, Kind};
use crate::pause::Gate;
use crate::recording;
use crate::stale::Question;
use crate::torn::{Tear, leaving, merged};

/// An attempt under way. Dropping it, answered or not, is what finishes it in the recording.
pub(super) struct Attempt {
    pub(super) connector: Connector,
    pub(super) sequence: u64,
    pub(super) operation: String,
    pub(super) fault: Option<Kind>,
    pub(super) gate: Option<Gate>,
}

impl Attempt {
    /// Sends the request, or does to it what the plan says.
    pub(super) async fn run(
        self,
        inner: &SharedHttpConnector,
        request: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        if let Some(gate) = &self.gate {
            if let Some(tear) = gate.tear {
                return self.torn(tear, gate, inner, request).await;
            }
            gate.wait().await;
        }
        let Some(kind) = self.fault else { return self.pass(inner, request).await };
        match kind {
            Kind::Before => Err(ConnectorError::io("injected: connection refused".into()).never_connected()),
            Kind::LostAnswer | Kind::LostAnswerUntilGivenUp => {
                carry_out(inner, request).await?;
                Err(ConnectorError::timeout("injected: the answer was lost".into()))
            }
            Kind::Throttle => Ok(faults::throttled()),
            Kind::TransactionThrottled => Ok(faults::transaction_throttled(&self.info(&request))),
            Kind::TransactionConflict => Ok(faults::conflict(&self.info(&request))),
            Kind::TransactionInProgress => Ok(faults::in_progress()),
            Kind::InternalError => Ok(faults::internal_error()),
            Kind::InternalErrorAfter => {
                carry_out(inner, request).await?;
                Ok(faults::internal_error())
            }
            Kind::Slow(delay) => {
                let answer = inner.call(request).await;
                tokio::time::sleep(delay).await;
                answer
            }
            Kind::Twice => {
                let again = request.try_clone();
                let answer = self.pass(inner, request).await?;
                if let Some(again) = again {
                    carry_out(inner, again).await?;
                }
                Ok(answer)
            }
            Kind::Stale => {
                let question = Question::of(&self.info(&request));
                let earlier = question.and_then(|question| self.connector.lock().answers.earlier(&question));
                if let Some(body) = earlier {
                    return Ok(faults::answered(body));
                }
                self.connector.lock().plan.spare(kind);
                self.pass(inner, request).await
            }
            Kind::Unprocessed => begun(inner, request).await,
            Kind::Kill { after } => {
                if after {
                    carry_out(inner, request).await?;
                }
                self.connector.lock().dead = true;
                self.connector.0.kills.send_modify(|kills| *kills += 1);
                std::future::pending().await
            }
        }
    }

    /// Sends the batch in two parts; whatever others do while it is held is done in between.
    async fn torn(
        &self,
        tear: Tear,
        gate: &Gate,
        inner: &SharedHttpConnector,
        request: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        let [first, second] = tear.parts(request.body().bytes().unwrap_or_default());
        let again = request.try_clone().expect("a request in memory");
        let before = carry_out(inner, carrying(request, first)).await?;
        gate.wait().await;
        let after = carry_out(inner, carrying(again, second)).await?;
        let answer = merged(&before, &after);
        self.note(&answer, None);
        self.connector.lock().torn += 1;
        Ok(faults::answered(answer))
    }

    /// Sends the request; what the answer says was consumed is noted if anybody wants to know, and the
    /// answer to a read that may lag is kept for a later `Stale`.
    async fn pass(&self, inner: &SharedHttpConnector, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let metered = self.connector.lock().metered;
        // Who meters looks at memory, too, and injects nothing.
        let question = if metered { None } else { Question::of(&self.info(&request)) };
        let mut response = inner.call(request).await?;
        let question = question.filter(|_| response.status().is_success());
        if metered || question.is_some() {
            let body = ByteStream::new(response.take_body()).collect().await;
            let body = body.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
            self.note(&body, question);
            *response.body_mut() = SdkBody::from(body);
        }
        Ok(response)
    }

    fn note(&self, body: &[u8], question: Option<Question>) {
        let mut state = self.connector.lock();
        if let Some(question) = question {
            state.answers.keep(question, body.to_vec());
        }
        if state.metered
            && let Some(call) = state.call(self.sequence)
        {
            call.units = recording::consumed(body);
        }
    }

    fn info<'a>(&'a self, request: &'a HttpRequest) -> CallInfo<'a> {
        CallInfo {
            sequence: self.sequence,
            operation: &self.operation,
            body: request.body().bytes().unwrap_or_default(),
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut state = self.connector.lock();
        state.clock += 1;
        let now = state.clock;
        if let Some(call) = state.call(self.sequence) {
            call.finished = now;
        }
    }
}

/// Sends the first key of the batch, and leaves the others unprocessed.
async fn begun(inner: &SharedHttpConnector, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let [first, rest] = Tear::AFTER_THE_FIRST.parts(request.body().bytes().unwrap_or_default());
    let answer = carry_out(inner, carrying(request, first)).await?;
    Ok(faults::answered(leaving(&answer, &rest)))
}

/// Sends the request and waits for the last byte of its answer.
async fn carry_out(inner: &SharedHttpConnector, request: HttpRequest) -> Result<Vec<u8>, ConnectorError> {
    let response = inner.call(request).await?;
    let body = ByteStream::new(response.into_body()).collect().await;
    body.map(AggregatedBytes::to_vec).map_err(|error| ConnectorError::io(error.into()))
}
