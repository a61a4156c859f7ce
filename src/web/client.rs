//! Who a request comes from: a role, and a machine.

use std::net::IpAddr;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// May do everything.
    Owner,
    /// Sees, and does what staff does with shoppers; does not change the shop.
    Staff,
    /// Brings the token.
    Program,
}

impl Role {
    /// As the audit log has it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Staff => "staff",
            Role::Program => "program",
        }
    }
}

/// The machine that a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);
