//! E-mail through SES v2, SMS through SNS.

use std::time::Duration;

use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use aws_sdk_sns::types::MessageAttributeValue;
use aws_smithy_types::timeout::TimeoutConfig;

use super::{DeliveryError, Letter, Recipient};
use crate::sdk::describe;
use crate::store::connect::Endpoint;

const CONNECT: Duration = Duration::from_secs(1);
const OPERATION: Duration = Duration::from_secs(10);

/// SES and SNS.
#[derive(Clone, Debug)]
pub struct AwsMailer {
    ses: aws_sdk_sesv2::Client,
    sns: aws_sdk_sns::Client,
    from: String,
}

impl AwsMailer {
    /// Sends as `from`, in the region and with the credentials of `endpoint`. `ses_url` and
    /// `sns_url` name other endpoints than the region's own.
    #[must_use]
    pub fn new(endpoint: &Endpoint, ses_url: Option<String>, sns_url: Option<String>, from: String) -> Self {
        let region = endpoint.region.clone().unwrap_or_else(|| "us-east-1".into());
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(OPERATION).build();
        let mut ses = aws_sdk_sesv2::Config::builder()
            .behavior_version(aws_sdk_sesv2::config::BehaviorVersion::v2026_01_12())
            .region(aws_sdk_sesv2::config::Region::new(region.clone()))
            .timeout_config(timeouts.clone());
        let mut sns = aws_sdk_sns::Config::builder()
            .behavior_version(aws_sdk_sns::config::BehaviorVersion::v2026_01_12())
            .region(aws_sdk_sns::config::Region::new(region))
            .timeout_config(timeouts);
        ses.set_endpoint_url(ses_url);
        sns.set_endpoint_url(sns_url);
        if let Some(credentials) = &endpoint.credentials {
            ses = ses.credentials_provider(credentials.clone());
            sns = sns.credentials_provider(credentials.clone());
        }
        let (ses, sns) = (aws_sdk_sesv2::Client::from_conf(ses.build()), aws_sdk_sns::Client::from_conf(sns.build()));
        Self { ses, sns, from }
    }

    pub(super) async fn send(&self, letter: Letter) -> Result<(), DeliveryError> {
        match letter.to.clone() {
            Recipient::Email(address) => self.send_email(address.as_str(), letter).await,
            Recipient::Sms(phone) => self.send_sms(phone.as_str(), letter.text).await,
        }
    }

    async fn send_email(&self, to: &str, letter: Letter) -> Result<(), DeliveryError> {
        let content = |text: String| Content::builder().data(text).charset("UTF-8").build();
        let failed = |error: aws_sdk_sesv2::error::BuildError| DeliveryError(error.to_string());
        let body = Body::builder()
            .text(content(letter.text).map_err(failed)?)
            .html(content(letter.html).map_err(failed)?)
            .build();
        let subject = content(letter.subject).map_err(failed)?;
        let simple = EmailContent::builder().simple(Message::builder().subject(subject).body(body).build()).build();
        let to = Destination::builder().to_addresses(to).build();
        let request = self.ses.send_email().from_email_address(&self.from).destination(to).content(simple);
        request.send().await.map(drop).map_err(|error| DeliveryError(describe(&error)))
    }

    async fn send_sms(&self, to: &str, text: String) -> Result<(), DeliveryError> {
        let transactional = MessageAttributeValue::builder().data_type("String").string_value("Transactional").build();
        let transactional = transactional.map_err(|error| DeliveryError(error.to_string()))?;
        let request = self.sns.publish().phone_number(to).message(text);
        let request = request.message_attributes("AWS.SNS.SMS.SMSType", transactional);
        request.send().await.map(drop).map_err(|error| DeliveryError(describe(&error)))
    }
}
