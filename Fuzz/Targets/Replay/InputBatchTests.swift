import Testing

@Suite struct InputBatchTests {
    /// What was behind the end passed for one more input, since nothing but its size was looked at.
    @Test func `a batch is read as it was kept, whatever an earlier one left behind it`() throws {
        var memory = [UInt8](repeating: 0, count: InputBatch.byteCount)
        try memory.withUnsafeMutableBytes { memory in
            var batch = InputBatch(memory)
            #expect(InputBatch.inputs(in: UnsafeRawBufferPointer(memory))?.isEmpty == true)
            while !batch.isFull { add([UInt8](repeating: 7, count: 4000), to: &batch) }
            batch.clear()
            let inputs: [[UInt8]] = [[1, 2, 3], [], [4]]
            for input in inputs { add(input, to: &batch) }
            let kept = try #require(InputBatch.inputs(in: UnsafeRawBufferPointer(memory)))
            #expect(kept.map { Array($0) } == inputs)
        }
    }

    @Test func `an input is no batch`() {
        #expect(Array("gefs".utf8).withUnsafeBytes { InputBatch.inputs(in: $0) } == nil)
    }

    private func add(_ input: [UInt8], to batch: inout InputBatch) {
        input.withUnsafeBytes { batch.add($0) }
    }
}
