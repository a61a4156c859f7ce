//! The import of a shop's feed as far as the network is needed: [`shop_picture`] turns a picture into its descriptors.

pub mod shop_picture;
