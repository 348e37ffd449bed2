import GefsMend
import Testing

/// Volumes damaged by chance: clean after the repair, and whole where nothing was damaged.
@Suite struct RepairTrialTests {
    /// The first ones, and two of trees without labels that once were left with data of removed files;
    /// `gefs-mend` makes any number of them.
    @Test func `a repair keeps what did not depend on damaged blocks and says what is lost`()
        throws
    {
        let bases = RepairTrial.Bases()
        for number: UInt64 in Array(0..<8) + [584, 2576] {
            let trial = try RepairTrial(
                seed: number, on: bases, interrupts: number.isMultiple(of: 4))
            let faults = trial.faults.prefix(3).joined(separator: "; ")
            #expect(
                trial.outcome != .failed,
                "gefs-mend --first \(number) --images 1: \(trial.damage): \(faults)")
        }
    }
}
