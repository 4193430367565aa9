package oauth

// AddressName is for the test that compares it with the long way.
var AddressName = addressName
