//! First contact: who fills in the public form becomes a lead, once per e-mail address.

use crate::clock::Time;
use crate::domain::customer::{Contact, Customer, Metadata, Origin, Status};
use crate::domain::product::ProductId;
use crate::ids::CustomerId;

/// What the form says. `contact` has a name and an e-mail address.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Who they are and how they are reached.
    pub contact: Contact,
    /// Free data of the form.
    pub metadata: Metadata,
    /// The product they came for, if any.
    pub product_id: Option<ProductId>,
    /// The checkout session prepared for them, if any.
    pub checkout_session_id: Option<String>,
}

/// What becomes of a submission.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Nobody has this address: a new lead, still without its reference.
    NewLead(Customer),
    /// A lead came back: the same record with the latest details.
    ReturningLead {
        /// The record as it was.
        before: Box<Customer>,
        /// The record as it is to be.
        after: Box<Customer>,
    },
    /// The address belongs to a customer, who is told; the caller learns nothing about them.
    AlreadyCustomer(Customer),
}

/// Whom an address stands for, given its living customers, oldest first: a customer before a lead.
#[must_use]
pub fn holder(mut members: Vec<Customer>) -> Option<Customer> {
    let at = members.iter().position(|customer| !customer.is_lead()).unwrap_or(0);
    (!members.is_empty()).then(|| members.swap_remove(at))
}

/// Decides, given the [`holder`] of the submitted address.
#[must_use]
pub fn plan(submission: Submission, holder: Option<Customer>, new_id: CustomerId, now: Time) -> Plan {
    let Some(before) = holder else {
        let mut lead = Customer::new(new_id, Status::PendingPayment, Origin::Intake, now);
        lead.contact = submission.contact;
        lead.metadata = submission.metadata;
        lead.product_id = submission.product_id;
        lead.checkout_session_id = submission.checkout_session_id;
        return Plan::NewLead(lead);
    };
    if !before.is_lead() {
        return Plan::AlreadyCustomer(before);
    }
    let mut after = before.clone();
    after.contact.overwrite_with(submission.contact);
    // The latest replaces the earlier: a form that anybody may send adds nothing up.
    if !submission.metadata.is_empty() {
        after.metadata = submission.metadata;
    }
    after.product_id = submission.product_id.or(after.product_id);
    after.checkout_session_id = submission.checkout_session_id.or(after.checkout_session_id);
    after.status = Status::PendingPayment;
    after.updated_at = now;
    Plan::ReturningLead { before: Box::new(before), after: Box::new(after) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::EmailAddress;
    use crate::text::Name;

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    fn submission(name: &str) -> Submission {
        let email = EmailAddress::parse("a@x.io").ok();
        let contact = Contact { name: Name::parse(name).ok(), email, ..Contact::default() };
        Submission { contact, metadata: Metadata::new(), product_id: None, checkout_session_id: Some("cs_2".into()) }
    }

    fn customer(status: Status, origin: Origin) -> Customer {
        Customer::new(CustomerId(NOW.new_id()), status, origin, NOW)
    }

    #[test]
    fn a_lead_whose_payment_failed_is_pending_again() {
        let before = customer(Status::PaymentFailed, Origin::Intake);
        let id = before.internal_id;
        let Plan::ReturningLead { after, .. } = plan(submission("Ana"), Some(before), CustomerId(NOW.new_id()), NOW)
        else {
            panic!("expected the lead to return");
        };
        assert_eq!((after.internal_id, after.status), (id, Status::PendingPayment));
        assert_eq!(after.contact.name.unwrap().as_str(), "Ana");
        assert_eq!(after.checkout_session_id.as_deref(), Some("cs_2"));
    }

    #[test]
    fn a_customer_beside_a_lead_holds_the_address() {
        let (lead, active) = (customer(Status::PendingPayment, Origin::Intake), customer(Status::Active, Origin::Api));
        assert_eq!(holder(vec![lead.clone(), active.clone()]), Some(active));
        assert_eq!(holder(vec![lead.clone()]), Some(lead));
        assert_eq!(holder(Vec::new()), None);
    }

    #[test]
    fn only_a_lead_can_return() {
        for customer in [
            customer(Status::Active, Origin::Intake),
            customer(Status::Inactive, Origin::Intake),
            customer(Status::PendingPayment, Origin::Api),
        ] {
            let plan = plan(submission("Ana"), Some(customer), CustomerId(NOW.new_id()), NOW);
            assert!(matches!(plan, Plan::AlreadyCustomer(_)));
        }
    }

    #[test]
    fn the_metadata_of_the_latest_form_replaces_the_earlier_and_none_leaves_it() {
        let area = |text: &str| serde_json::json!({ "area": text }).as_object().unwrap().clone();
        let before = Customer { metadata: area("north"), ..customer(Status::PendingPayment, Origin::Intake) };
        let after = |metadata: Metadata| {
            let form = Submission { metadata, ..submission("Ana") };
            let Plan::ReturningLead { after, .. } = plan(form, Some(before.clone()), before.internal_id, NOW) else {
                panic!("expected the lead to return");
            };
            after.metadata
        };
        assert_eq!(after(Metadata::new()), area("north"));
        assert_eq!(after(area("south")), area("south"));
    }
}
