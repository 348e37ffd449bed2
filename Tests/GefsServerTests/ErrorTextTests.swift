import GefsEngine
import NineP
import Testing

@testable import GefsServer

@Suite struct ErrorTextTests {
    @Test(arguments: [
        (RequestError.unknownFid, "unknown fid"),
        (.fidInUse, "fid in use"),
        (.fidIsOpen, "resource in use"),
        (.notOpenForWriting, "resource in use"),
        (.unparsableStat, "invalid directory"),
        (.authenticationDisabled, "authentication failed"),
        (.authenticationNeedless, "auth -- user 'none' requires no authentication"),
        (.attachDenied, "attach -- unknown user or failed authentication"),
        (.file(.notFound), "directory entry not found"),
        (.file(.exists), "create/wstat -- file exists"),
        (.file(.notADirectory), "create -- in a non-directory"),
        (.file(.directoryNotEmpty), "directory is not empty"),
        (.file(.permissionDenied), "permission denied"),
        (.file(.badName), "create/wstat -- bad character in file name"),
        (.file(.nameTooLong), "name too long"),
        (.file(.unknownModeBits), "wstat -- unknown bits in qid.type/mode"),
        (.file(.authOrMountBits), "protocol botch"),
        (.file(.badOpenMode), "open/create -- unknown mode"),
        (.file(.alreadyOpen), "resource in use"),
        (.file(.notOpen), "read/write -- on non open fid"),
        (.file(.locked), "open/create -- file is locked"),
        (.file(.removed), "phase error -- use after remove"),
        (.file(.readOnly), "file system read only"),
        (.file(.volumeFull), "file system full"),
        (.file(.offsetOutOfRange), "read/write -- offset negative"),
        (.file(.badDirectoryOffset), "invalid dir scan offset"),
        (.file(.unknownLabel), "attach -- bad specifier"),
        (.file(.retention(.badUnit(word: []))), "syntax error"),
        (.file(.branchName(.noSnapshots, [])), "attach -- bad specifier"),
        (.file(.unknownUser), "user does not exist"),
        (.file(.unknownGroup), "group does not exist"),
        (.file(.changesDirectoryBit), "wstat -- attempt to change directory"),
        (.file(.negativeLength), "wstat -- attempt to make length negative"),
        (.file(.notOwner), "wstat -- not owner"),
        (.file(.notOwnerOrLeader), "wstat -- not owner or group leader"),
        (.file(.notInGroup), "wstat -- not in group"),
        (.file(.changesQidPath), "wstat -- attempt to change qid.path"),
        (.file(.changesQidVersion), "wstat -- attempt to change qid.vers"),
        (.file(.changesQidType), "wstat -- qid.type/dir.mode mismatch"),
        (.file(.changesMuid), "wstat -- attempt to change muid"),
        (.file(.fileTooBig), "file too big"),
        (.file(.label(.exists, [])), "snap -- already exists"),
        (.file(.label(.inUse, [])), "snap -- is currently mounted"),
        (.file(.label(.reserved, [])), "snap -- reserved name"),
        (.file(.label(.unknown, [])), "snap -- does not exist"),
        (.message(.invalid), "invalid control message"),
        (.message(.checkFailed), "check -- fs not ok"),
        (.message(.file(.readOnly)), "file system read only"),
    ])
    func `errors have the original's texts`(error: RequestError, text: String) {
        #expect(ErrorText.text(of: error).description == text)
    }

    @Test func `seconds are rounded to the nearest and kept within 32 bits`() {
        #expect(WireTime.seconds(0) == 0)
        #expect(WireTime.seconds(499_999_999) == 0)
        #expect(WireTime.seconds(500_000_000) == 1)
        #expect(WireTime.seconds(1_499_999_999) == 1)
        #expect(WireTime.seconds(-1) == 0)
        #expect(WireTime.seconds(.min) == 0)
        #expect(WireTime.seconds(.max) == .max)
        #expect(WireTime.nanoseconds(.max) == 4_294_967_295_000_000_000)
    }

    @Test func `attach names say which tree and with whose rights`() {
        func parse(_ text: StaticString, control: Bool = false) -> AttachSpecifier {
            AttachSpecifier(text.wireBytes, onControlSocket: control)
        }
        let main = Array("main".utf8)
        #expect(parse("").tree == .label(main))
        #expect(!parse("").isPermissive)
        #expect(parse("main").tree == .label(main))
        #expect(parse("%main").tree == .label(main))
        #expect(parse("%main").isPermissive)
        #expect(parse("%").tree == .label([]))
        #expect(parse(".ctl").tree == .label(Array(".ctl".utf8)))
        #expect(parse(".ctl", control: true).tree == .control)
    }
}
