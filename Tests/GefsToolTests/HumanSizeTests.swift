import GefsControl
import Testing

struct HumanSizeTests {
    @Test(
        arguments: [
            ("0", 0), ("4096", 4096), ("64K", 65536), ("10G", 10 << 30), ("1.5T", 3 << 39),
            ("4GiB", 4 << 30), ("512M", 512 << 20), ("2k", 2048), ("7B", 7), ("0.25K", 256),
        ] as [(String, UInt64)])
    func `sizes are read with their unit`(text: String, bytes: UInt64) {
        #expect(HumanSize.parse(text) == bytes)
    }

    @Test(arguments: [
        "", "K", "-5", "+5", "1.5", "ten", "1.2.3G", "99999999999999999999", "16E.", "18E", "1e3",
        " 5", "5 ", "0x10", "1.1234567G", ".5G",
    ])
    func `anything else is refused`(text: String) {
        #expect(HumanSize.parse(text) == nil)
    }

    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            ((1 << 20) - 1, "1.0 MiB"), (4 << 30, "4.0 GiB"), (UInt64.max, "16.0 EiB"),
        ] as [(UInt64, String)])
    func `sizes are shown with one digit behind the point`(bytes: UInt64, text: String) {
        #expect(HumanSize.text(bytes) == text)
    }

    @Test func `what is shown can be read again, give or take the rounding`() {
        for step in 0..<1000 as Range<UInt64> {
            // Spread over all magnitudes.
            let bytes = (step &* 0x9e37_79b9_7f4a_7c15) >> (4 + step % 60)
            let text = HumanSize.text(bytes).replacing(" ", with: "")
            let again = HumanSize.parse(text)
            #expect(again.map { $0 > bytes ? $0 - bytes : bytes - $0 } ?? .max <= bytes / 10 + 1)
        }
    }
}
