// `JSONValue` and `JSONView` are part of this module's interface.
@_exported import JSONBytes
