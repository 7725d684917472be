      * Numbers in the form of the machine that COBOL runs on.
       01  NATIVES.
           05  NATIVE-2                PIC S9(2) COMP-5.
           05  NATIVE-4                PIC S9(4) COMP-5.
           05  NATIVE-7                PIC 9(7) COMP-5.
           05  NATIVE-9                PIC S9(7)V99 COMP-5.
           05  NATIVE-18               PIC S9(18) COMP-5.
           05  NATIVE-UNSIGNED         PIC 9(18) COMP-5.
           05  HEX-X                   PIC X(3) COMP-X.
           05  HEX-9                   PIC 9(5) COMP-X.
           05  CHAR-SIGNED             BINARY-CHAR.
           05  SHORT-UNSIGNED          BINARY-SHORT UNSIGNED.
           05  LONG-SIGNED             BINARY-LONG SIGNED.
           05  DOUBLE-SIGNED           BINARY-DOUBLE.
           05  BEFORE-SLACK            PIC X.
           05  SHORT-SYNC              BINARY-SHORT SYNC.
           05  NATIVE-SYNC             PIC S9(9) COMP-5 SYNC.
           05  FLOAT-SYNC              COMP-2 SYNC.
           05  FLOAT-4                 COMP-1.
           05  FLOAT-8                 COMP-2.
           05  FLOAT-SHORT-1           FLOAT-SHORT.
           05  FLOAT-LONG-1            FLOAT-LONG.
