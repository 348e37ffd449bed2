import GefsFormat
import Testing

@Suite struct GeometryTests {
    @Test func `the derived sizes are those of the format`() {
        #expect(Geometry.pivotBufferBytes == 8187)
        #expect(Geometry.pivotSpaceBytes == 8187)
        #expect(Geometry.leafSpaceBytes == 16378)
        #expect(Geometry.logSpaceBytes == 16348)
        #expect(Geometry.pivotValueBytes == 26)
        #expect(Geometry.nameBytesMax + KeyEncoding.entryOverheadBytes == Geometry.keyBytesMax)
        #expect(Geometry.labelBytesMax + KeyEncoding.textOverheadBytes == Geometry.keyBytesMax)
    }

    @Test func `the reserve is a 1024th of the arena within its limits`() {
        #expect(Geometry.reserveBytes(arenaBytes: 0) == 512 << 10)
        #expect(Geometry.reserveBytes(arenaBytes: 512 << 20) == 512 << 10)
        #expect(Geometry.reserveBytes(arenaBytes: 1 << 30) == 1 << 20)
        #expect(Geometry.reserveBytes(arenaBytes: 8 << 30) == 8 << 20)
        #expect(Geometry.reserveBytes(arenaBytes: .max) == 8 << 20)
    }
}
