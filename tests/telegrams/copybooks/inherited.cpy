      * Usage and sign that a group gives to its members.
       01  INHERITED.
           05  PACKED-GROUP USAGE COMP-3.
               10  INH-A               PIC S9(5)V99.
               10  INH-B               PIC S9(4).
               10  INH-C.
                   15  INH-D           PIC 9(3).
           05  BINARY-GROUP COMP.
               10  INH-E               PIC S9(4).
               10  INH-F               PIC 9(9).
           05  SIGN-GROUP SIGN IS LEADING SEPARATE.
               10  INH-G               PIC S9(3).
               10  INH-H               PIC S9(3) SIGN TRAILING.
               10  INH-I               PIC 9(3).
