      * What a record holds before any program has touched it.
       01  INITIAL-VALUES.
           05  VAL-TEXT                PIC X(6) VALUE 'TEXT'.
           05  FILLER                  PIC X(3) VALUE ' - '.
           05  FILLER                  PIC X(4) VALUE ALL '*='.
           05  VAL-DIGITS              PIC 9(4) VALUE 42.
           05  VAL-SIGNED              PIC S9(3)V99 VALUE -1.5.
           05  VAL-PACKED              PIC S9(5) COMP-3 VALUE +7.
           05  VAL-BINARY              PIC S9(4) COMP VALUE -2.
           05  VAL-KIND                PIC X VALUE 'B'.
               88  VAL-A               VALUE 'A'.
               88  VAL-B-TO-D          VALUE 'B' THRU 'D'.
           05  VAL-ZERO                PIC 9(3) VALUE ZEROS.
           05  VAL-BLANK               PIC X(3) VALUE SPACES.
           05  FILLER                  PIC X(2).
           05  VAL-SPLIT               PIC X(6) VALUE "A'B""C".
