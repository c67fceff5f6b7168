extension FixedWidthInteger {
    /// The sum, or the highest (lowest) value that there is: what others count up never ends the process.
    func adding(saturating other: Self) -> Self {
        let (sum, overflows) = addingReportingOverflow(other)
        guard overflows else { return sum }
        return other < 0 ? .min : .max
    }
}
