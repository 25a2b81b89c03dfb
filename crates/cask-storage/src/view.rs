//! Records together with where they are from.

use std::ops::Deref;
use std::sync::Arc;

use crate::record::{ContainerRecord, ImageRecord, LayerRecord};

macro_rules! view {
    ($(#[$attribute:meta])* $view:ident of $record:ident) => {
        $(#[$attribute])*
        #[derive(Clone, Debug)]
        pub struct $view {
            pub(crate) record: Arc<$record>,
            /// The number of the place that has it.
            pub(crate) place: usize,
            pub(crate) read_only: bool,
        }

        impl $view {
            /// Whether it is in an additional store, or the whole store can only be read.
            pub fn is_read_only(&self) -> bool {
                self.read_only
            }

            /// What the store says of it.
            pub fn record(&self) -> &$record {
                &self.record
            }
        }

        impl Deref for $view {
            type Target = $record;

            fn deref(&self) -> &$record {
                &self.record
            }
        }
    };
}

view! {
    /// An image of the store, as it was when it was asked for.
    Image of ImageRecord
}
view! {
    /// A layer of the store, as it was when it was asked for.
    Layer of LayerRecord
}
view! {
    /// A container of the store, as it was when it was asked for.
    Container of ContainerRecord
}
