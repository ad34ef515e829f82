//! Answers: what callers see, apart from how it is kept.

use std::collections::BTreeMap;

use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::contact::{EmailAddress, Phone};
use shared::domain::balance::{FeatureBalance, Usage, balances};
use shared::domain::customer::{Customer, Metadata, Status};
use shared::domain::product::{
    FeatureId, FreeTrial, Group, HeldProduct, Item, Price, Product, ProductId, ProductStatus,
};
use shared::domain::user::{Role, User};
use shared::ids::{Crn, CustomerId, CustomerNumber, UserId};
use shared::text::{Address, Area, Name};
use utoipa::ToSchema;

/// A customer.
#[derive(Serialize, ToSchema)]
#[schema(as = Customer)]
pub struct CustomerView {
    /// The caller's own id; on the older routes the internal id where the caller gave none.
    pub id: Option<String>,
    /// Rollcall's id.
    pub internal_id: CustomerId,
    /// The reference.
    pub customer_reference: Option<Crn>,
    /// The customer number of its login.
    #[serde(rename = "customerId")]
    pub customer_number: Option<CustomerNumber>,
    /// Its login.
    pub user_id: Option<UserId>,
    /// Who it is.
    pub name: Option<Name>,
    /// Where e-mail reaches it.
    pub email: Option<EmailAddress>,
    /// Its phone, in E.164 form.
    pub phone: Option<Phone>,
    /// Where it lives.
    pub address: Option<Address>,
    /// Its delivery area.
    pub area: Option<Area>,
    /// Where it stands.
    pub status: Status,
    /// Its Stripe customer.
    pub stripe_id: Option<String>,
    /// The caller's mark of the person behind it.
    pub fingerprint: Option<String>,
    /// Free data of the caller.
    #[schema(value_type = Object)]
    pub metadata: Metadata,
    /// Who delivers to it.
    pub delivery_boy_id: Option<UserId>,
    /// The products it holds.
    pub products: Vec<HeldProductView>,
    /// What it may still use, by feature.
    #[schema(value_type = BTreeMap<String, FeatureBalance>)]
    pub balances: BTreeMap<FeatureId, FeatureBalance>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Time,
}

impl CustomerView {
    /// A customer who has used `usage`, as they are at `now`.
    #[must_use]
    pub fn new(customer: Customer, usage: &[Usage], now: Time) -> Self {
        let balances = balances(&customer.products, usage, now);
        let contact = customer.contact;
        Self {
            id: customer.id.map(|id| id.to_string()),
            internal_id: customer.internal_id,
            customer_reference: customer.customer_reference,
            customer_number: customer.customer_number,
            user_id: customer.user_id,
            name: contact.name,
            email: contact.email,
            phone: contact.phone,
            address: contact.address,
            area: contact.area,
            status: customer.status,
            stripe_id: customer.stripe_id,
            fingerprint: customer.fingerprint,
            metadata: customer.metadata,
            delivery_boy_id: customer.delivery_boy_id,
            products: customer.products.into_iter().map(|held| HeldProductView::new(held, now)).collect(),
            balances,
            created_at: customer.created_at,
            updated_at: customer.updated_at,
        }
    }
}

/// A product that a customer holds.
#[derive(Serialize, ToSchema)]
#[schema(as = HeldProduct)]
pub struct HeldProductView {
    /// The product.
    pub id: ProductId,
    /// What people called it when it was attached.
    pub name: Name,
    /// Its group.
    pub group: Option<Group>,
    /// Where it stands now.
    pub status: ProductStatus,
    /// How many of it.
    pub quantity: u64,
    /// Whether it is one that new customers get.
    pub is_default: bool,
    /// When it was attached.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Time,
    /// When its trial ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub trial_ends_at: Option<Time>,
    /// Until when it is paid for.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub current_period_end: Option<Time>,
}

impl HeldProductView {
    pub(crate) fn new(held: HeldProduct, now: Time) -> Self {
        Self {
            status: held.status_at(now),
            id: held.id,
            name: held.name,
            group: held.group,
            quantity: held.quantity,
            is_default: held.is_default,
            started_at: held.started_at,
            trial_ends_at: held.trial_ends_at,
            current_period_end: held.current_period_end,
        }
    }
}

/// A product of the catalogue.
#[derive(Serialize, ToSchema)]
#[schema(as = Product)]
pub struct ProductView {
    /// Its id.
    pub id: ProductId,
    /// What people call it.
    pub name: Name,
    /// Of the products of a group a customer gets one by default.
    pub group: Option<Group>,
    /// Whether new customers get it.
    pub is_default: bool,
    /// Whether they get it although it costs something.
    pub force_paid_default: bool,
    /// What it costs.
    pub price: Option<Price>,
    /// How it may be tried.
    pub free_trial: Option<FreeTrial>,
    /// What it lets its holder use.
    pub items: Vec<Item>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Time,
}

impl From<Product> for ProductView {
    fn from(product: Product) -> Self {
        Self {
            id: product.id,
            name: product.name,
            group: product.group,
            is_default: product.is_default,
            force_paid_default: product.force_paid_default,
            price: product.price,
            free_trial: product.free_trial,
            items: product.items,
            created_at: product.created_at,
            updated_at: product.updated_at,
        }
    }
}

/// An account.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub struct AccountView {
    /// Their id.
    #[serde(rename = "_id")]
    pub id: UserId,
    /// The same.
    pub user_id: UserId,
    /// Who they are.
    pub name: Option<Name>,
    /// What they sign in with.
    pub email: EmailAddress,
    /// Their phone, in E.164 form.
    pub phone: Option<Phone>,
    /// What they may do.
    pub role: Role,
    /// Their customer number.
    #[serde(rename = "customerId")]
    pub customer_number: Option<CustomerNumber>,
    /// Their customer record.
    pub customer_v2_id: Option<CustomerId>,
}

/// A user, as they see themselves.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    /// The account.
    #[serde(flatten)]
    pub account: AccountView,
    /// Whether they must choose a password before anything else.
    pub must_change_password: bool,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self { must_change_password: user.must_change_password(), account: user.into() }
    }
}

impl From<User> for AccountView {
    fn from(user: User) -> Self {
        Self {
            id: user.user_id,
            user_id: user.user_id,
            name: user.name,
            email: user.email,
            phone: user.phone,
            role: user.role,
            customer_number: user.customer_number,
            customer_v2_id: user.customer_v2_id,
        }
    }
}

/// A user and a fresh session.
#[derive(Serialize, ToSchema)]
pub struct SessionView {
    /// Who signed in.
    #[serde(flatten)]
    pub user: UserView,
    /// Their session.
    #[serde(flatten)]
    pub session: TokenView,
}

/// A new account and its first session.
#[derive(Serialize, ToSchema)]
pub struct RegisteredView {
    /// Who registered.
    #[serde(flatten)]
    pub account: AccountView,
    /// Their session.
    #[serde(flatten)]
    pub session: TokenView,
}

/// A session.
#[derive(Serialize, ToSchema)]
pub struct TokenView {
    /// The session (JWT).
    pub token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// How long it lasts, in seconds.
    pub expires_in: i64,
}

impl TokenView {
    /// A session of `user` that begins at `now`.
    #[must_use]
    pub fn sign(app: &App, user: &User, now: Time) -> Self {
        let expires_in = app.settings.jwt_ttl_seconds;
        Self { token: app.keys.sign_session(user, now, expires_in), token_type: "Bearer", expires_in }
    }
}

/// Something in words.
#[derive(Serialize, ToSchema)]
pub struct MessageView {
    /// The words.
    pub message: &'static str,
}
