#![doc = include_str!("../README.md")]

mod bolt;
mod create;
mod defaults;
mod error;
mod helper;
mod leases;
mod machine;
mod netavark;
mod network;
mod networks;
mod pasta;
mod prefix;

pub use create::NetworkOptions;
pub use defaults::{Defaults, SubnetPool};
pub use error::{Error, ErrorKind, Result};
pub use leases::Leases;
pub use netavark::{Attachment, Connection, Interface, InterfaceSubnet, PortMapping, Status};
pub use network::{LeaseRange, Network, Route, Subnet, is_name};
pub use networks::{Networks, Places};
pub use pasta::{PASTA_RESOLVER, Pasta, PastaOptions};
pub use prefix::Prefix;
